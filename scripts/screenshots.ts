/**
 * Pictures of the dashboard for docs/images/dashboard, taken in a real browser on an embedded stack of its own:
 * `npm run docs:screenshots`, or `npm run docs:screenshots queue` for those whose name begins so.
 * `SCREENSHOTS_DIR` puts them somewhere else, together with those that the docs do not need.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import nodemailer from 'nodemailer'
import { type Browser, chromium } from 'playwright-core'
import postgres from 'postgres'
import { PAGES } from '../queue-worker/src/dashboard/pages.ts'
import { startStack } from '../queue-worker/src/embedded/stack.ts'
import { createFileFolder } from '../queue-worker/src/services/file-folder.ts'
import { openMailFolder } from '../queue-worker/src/services/mail-folder.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { findChromium, openDashboard, openTab } from '../queue-worker/test/support/dashboard.ts'
import { ADMIN, openDoor } from '../queue-worker/test/support/dashboard-door.ts'
import { stackFolder } from '../queue-worker/test/support/stack.ts'
import { paintScene, sceneProcessors } from './screenshots-scene.ts'
import { smallPng } from './small-png.ts'

/** What the docs show. */
const KEPT = [
  ...['overview', 'queue', 'queue-dead', 'message', 'message-dead', 'confirm', 'send', 'audit'],
  ...['schedule', 'reports', 'mails', 'mail', 'login'],
]
const TARGET =
  process.env.SCREENSHOTS_DIR ?? fileURLToPath(new URL('../docs/images/dashboard', import.meta.url))
const LOOKS = [
  { scheme: 'light', width: 1440, suffix: '' },
  { scheme: 'dark', width: 1440, suffix: '-dark' },
  { scheme: 'light', width: 390, suffix: '-narrow' },
  { scheme: 'dark', width: 390, suffix: '-narrow-dark' },
] as const

const program = findChromium()
if (program === undefined) throw new Error('there is no chromium or google-chrome in PATH')
const only = process.argv.slice(2)
const folder = await stackFolder()
const stack = await startStack({
  directory: folder,
  log: console.error,
  ports: { gateway: 0, postgres: 0, smtp: 0 },
})
const sql = postgres(stack.adminUrl, { max: 2, onnotice: () => {} })
const browser = await chromium.launch({ executablePath: program })
try {
  const own = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(own, await listMigrations())
  await own.end()
  const mails = openMailFolder(stack.mailDirectory)
  const ground = { processors: sceneProcessors(), mails, reports: createFileFolder(folder) }
  await sendMail(stack)
  const dashboard = await openDashboard({ stack, kind: 'postgres', ground, pages: PAGES })
  try {
    await takeAll(dashboard.url, { 'overview-empty': '/' })
    await takeAll(dashboard.url, await paintScene(sql, dashboard.queue))
    const [mail] = (await mails.list({ limit: 1 })).mails
    await takeAll(dashboard.url, { mail: `/mails/${mail?.id}` })
    const door = await openDoor({ operatorTokens: [ADMIN] })
    await takeAll(`http://127.0.0.1:${door.port}/dashboard`, { login: '/' })
    await door.close()
    for (const line of dashboard.logged) console.error(line)
  } finally {
    await dashboard.close()
  }
} finally {
  await browser.close()
  await sql.end()
  await stack.stop()
  await rm(folder, { recursive: true, force: true })
}

/** Three, of which the newest has all that a mail can have. */
async function sendMail({ smtp }: Pick<typeof stack, 'smtp'>): Promise<void> {
  const mail = nodemailer.createTransport({
    ...{ host: smtp.host, port: smtp.port, ignoreTLS: true },
    auth: { user: smtp.user, pass: smtp.pass },
  })
  const from = 'Acme <no-reply@acme.example>'
  for (const who of ['grace', 'hedy'])
    await mail.sendMail({ from, to: `${who}@example.com`, subject: 'Your booking', text: `Dear ${who}, …` })
  await mail.sendMail({
    ...{ from, to: 'ada@example.com', bcc: 'archive@acme.example', subject: 'Volume of November' },
    text: 'Dear Ada,\n\nhere is the volume of November.',
    html: '<h1>Volume of November</h1><p>Dear Ada,</p><p>here is the volume of November: <b>1,034</b> orders.</p>',
    attachments: [{ filename: 'daily_volume.csv', content: 'day,orders\n2026-11-01,34\n' }],
  })
  mail.close()
}

async function takeAll(url: string, paths: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(TARGET, { recursive: true })
  for (const [name, path] of Object.entries(paths)) {
    if (process.env.SCREENSHOTS_DIR === undefined && !KEPT.includes(name)) continue
    if (only.length > 0 && !only.some((one) => name.startsWith(one))) continue
    for (const look of LOOKS)
      await take(browser, `${url}${path}`, join(TARGET, `${name}${look.suffix}`), look)
  }
}

async function take(
  browser: Browser,
  url: string,
  file: string,
  look: (typeof LOOKS)[number],
): Promise<void> {
  const { page, troubles } = await openTab(browser, url, look)
  if ((await page.locator('#charts').count()) > 0) await page.locator('#charts[data-drawn]').waitFor()
  await page.evaluate('document.fonts.ready')
  const most = look.width < 1000 ? 2000 : 1500
  const height = Math.min(most, Number(await page.evaluate('document.documentElement.scrollHeight')))
  await page.setViewportSize({ width: look.width, height })
  const picture = await page.screenshot({ type: 'png', clip: { x: 0, y: 0, width: look.width, height } })
  await writeFile(`${file}.png`, smallPng(picture))
  for (const trouble of troubles) console.error(`${file}: ${trouble}`)
  await page.context().close()
}
