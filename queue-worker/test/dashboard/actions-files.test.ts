/** The mails that were caught and the reports that were made, as the dashboard shows them. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import nodemailer from 'nodemailer'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createFileFolder } from '../../src/services/file-folder.ts'
import { openMailFolder } from '../../src/services/mail-folder.ts'
import { createFileBucket } from '../../src/services/supabase-storage.ts'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'
import { startStorageServer } from '../support/storage-server.ts'

const mark = randomBytes(8).toString('hex')

describeInBrowser('mails in the dashboard', (browser) => {
  let dashboard: TestDashboard
  /** What a mail asked somebody else for: whoever sent it would see that it is read. */
  const asked: (string | undefined)[] = []
  const tracker = createServer((request, response) => {
    asked.push(request.url)
    response.end()
  })

  beforeAll(async () => {
    tracker.listen(0, '127.0.0.1')
    await once(tracker, 'listening')
    const evil = `http://127.0.0.1:${(tracker.address() as AddressInfo).port}`
    const { smtp, mailDirectory } = inject('stack')
    dashboard = await openDashboard({ ground: { mails: openMailFolder(mailDirectory) } })
    const mail = nodemailer.createTransport({
      ...{ host: smtp.host, port: smtp.port, ignoreTLS: true },
      auth: { user: smtp.user, pass: smtp.pass },
    })
    const common = { from: 'Ann <ann@a.example>', to: 'ben@b.example', bcc: 'eve@e.example' }
    await mail.sendMail({
      ...{ ...common, subject: `Плата ${mark} <b>`, messageId: `<${mark}-1@a.example>` },
      text: 'Hello Ben,\nhere it is.',
      html: `<h1>Hello Ben</h1><img src="${evil}/x.png"><iframe src="${evil}/frame"></iframe><img alt="logo" src="cid:logo"><script>document.title = 'broken in'; top.location = '${evil}'</script><style>@import "${evil}/x.css"; h1 { color: rgb(1, 2, 3) }</style>`,
      attachments: [
        { filename: 'evil.html', content: '<script>alert(1)</script>' },
        {
          filename: 'logo.gif',
          cid: 'logo',
          content: Buffer.from('R0lGODlhAQABAAAAACwAAAAAAQABAAA=', 'base64'),
        },
      ],
    })
    await mail.sendMail({
      ...common,
      subject: `plain ${mark}`,
      text: 'Only text.',
      messageId: `<${mark}-2@a.example>`,
    })
    mail.close()
  })
  afterAll(async () => {
    tracker.close()
    await dashboard.close()
  })

  test('are listed with whom they reached, and read with their heads', async () => {
    const { page, troubles } = await browser.open(`${dashboard.url}/mails?about=${mark}`)
    await page.getByRole('link', { name: `plain ${mark}` }).waitFor()
    expect(await page.locator('tbody tr').count()).toBe(2)
    expect(await page.locator('tbody').innerText()).toContain('ben@b.example, eve@e.example')
    expect(await findings(page)).toEqual([])
    await page.getByRole('link', { name: `plain ${mark}` }).click()
    await page.getByRole('heading', { name: `plain ${mark}` }).waitFor()
    expect(await page.getByLabel("The mail's text").innerText()).toContain('Only text.')
    expect(await page.getByRole('row', { name: /Message-ID/ }).innerText()).toContain(`${mark}-2@a.example`)
    expect(await findings(page)).toEqual([])
    await page.setViewportSize({ width: 390, height: 800 })
    expect(await overflowOf(page)).toBe(0)
    expect(troubles).toEqual([])
  })

  test('run nothing and load nothing; their files are saved, never shown', async () => {
    const { page, troubles } = await browser.open(`${dashboard.url}/mails?about=${mark}`)
    await page.getByRole('link', { name: `Плата ${mark} <b>` }).click()
    const frame = page.frameLocator('iframe.mail')
    await frame.getByRole('heading', { name: 'Hello Ben' }).waitFor()
    // Its own styles and pictures hold; nothing else was asked for, nothing ran.
    const [, inner] = page.frames()
    expect(await inner?.evaluate("getComputedStyle(document.querySelector('h1')).color")).toBe('rgb(1, 2, 3)')
    expect(await inner?.evaluate("document.querySelector('[alt=logo]').naturalWidth")).toBe(1)
    expect(page.url()).toContain('/mails/')
    expect(asked).toEqual([])
    expect(troubles.some((one) => one.includes('sandboxed'))).toBe(true)
    const html = await fetch(`${page.url()}/html`)
    expect(html.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(html.headers.get('content-security-policy')).toContain('sandbox')
    const saved = page.waitForEvent('download')
    await page.getByRole('link', { name: 'evil.html' }).click()
    expect((await saved).suggestedFilename()).toBe('evil.html')
    expect(await readFile(await (await saved).path(), 'utf8')).toBe('<script>alert(1)</script>')
    const file = await fetch(`${page.url()}/files/0`)
    expect(file.headers.get('content-type')).toBe('application/octet-stream')
    expect(file.headers.get('content-disposition')).toMatch(/^attachment/)
  })

  test('no other file is read, and where no mails are caught, the page says so', async () => {
    for (const id of ['..%2Fstack.json', '%2Fetc%2Fpasswd', 'x.eml']) {
      const answer = await fetch(`${dashboard.url}/mails/${id}`)
      expect([id, answer.status]).toEqual([id, 404])
    }
    const elsewhere = await openDashboard()
    const { page } = await browser.open(`${elsewhere.url}/mails`)
    await page.getByRole('heading', { name: 'No mails are caught here.' }).waitFor()
    expect(await page.getByRole('navigation').getByRole('link', { name: 'Mails' }).count()).toBe(0)
    await elsewhere.close()
  })
})

describeInBrowser('reports in the dashboard', (browser) => {
  let dashboard: TestDashboard
  let viewers: TestDashboard
  let sql: Sql
  let folder: string
  const key = (name: string) => `${mark}/${name}`
  const urlOf = (name: string) => `${dashboard.url}/reports/${encodeURIComponent(key(name))}`

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'queue-worker-reports-'))
    const reports = createFileFolder(folder)
    dashboard = await openDashboard({ ground: { reports } })
    viewers = await openDashboard({ ground: { reports }, role: 'viewer' })
    sql = postgres(inject('stack').databaseUrl, { max: 1, onnotice: () => {} })
    await writeFile(join(folder, `${mark}.csv`), 'day,volume\n2026-11-25,12\n')
    for (const [name, location, at] of [
      ['here', join(folder, `${mark}.csv`), '2099-01-01'],
      ['outside', '/etc/passwd', '2099-01-02'],
      ['climbs', `${folder}/../../etc/passwd`, '2099-01-03'],
      ['hidden', join(folder, '.hidden'), '2099-01-04'],
    ] as const)
      await sql`insert into public.reports (origin_key, report, params, format, title, time_zone, state, rows, bytes, sha256, location, run, requested_at, finished_at)
        values (${key(name)}, 'daily', '{}', 'csv', ${`Report ${name} ${mark}`}, 'UTC', 'done', 1, 24, 'x', ${location}, 'r', ${at}, now())`
  })
  afterAll(async () => {
    await sql`delete from public.reports where origin_key like ${`${mark}/%`}`
    await Promise.all([dashboard.close(), viewers.close(), sql.end(), rm(folder, { recursive: true })])
  })

  test('are listed, opened and saved', async () => {
    const { page, troubles } = await browser.open(`${dashboard.url}/reports`)
    expect(await findings(page)).toEqual([])
    await page.getByRole('link', { name: `Report here ${mark}` }).click()
    await page.getByRole('link', { name: 'Open' }).waitFor()
    expect(await findings(page)).toEqual([])
    const saved = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download' }).click()
    expect(await readFile(await (await saved).path(), 'utf8')).toBe('day,volume\n2026-11-25,12\n')
    await page.getByRole('link', { name: 'Open' }).click()
    await page.getByText('2026-11-25,12').waitFor()
    expect(troubles).toEqual([])
  })

  test('files outside of the folder are never read', async () => {
    for (const name of ['outside', 'climbs', 'hidden']) {
      const answer = await fetch(`${urlOf(name)}/file`)
      expect([name, answer.status, await answer.text()]).toEqual([
        name,
        404,
        expect.not.stringContaining('root:'),
      ])
    }
  })

  test('their files are for operators', async () => {
    const { page } = await browser.open(`${viewers.url}/reports/${encodeURIComponent(key('here'))}`)
    await page.getByRole('heading', { name: `Report here ${mark}` }).waitFor()
    expect(await page.getByRole('link', { name: 'Download' }).count()).toBe(0)
    expect((await fetch(`${viewers.url}/reports/${encodeURIComponent(key('here'))}/file`)).status).toBe(403)
  })

  test('a file in a storage is reached by a link that is signed for a moment', async () => {
    const server = await startStorageServer('sb_secret_test', 'reports')
    const reports = createFileBucket({ url: server.url, key: 'sb_secret_test', bucket: 'reports' })
    server.files.set(`${mark}.csv`, { content: Buffer.from('day,volume\n'), type: 'text/csv' })
    const stored = await openDashboard({ ground: { reports } })
    const at = `${stored.url}/reports/${encodeURIComponent(key('here'))}/file`
    const answer = await fetch(at, { redirect: 'manual' })
    expect([answer.status, new URL(answer.headers.get('location') ?? '').origin]).toEqual([303, server.url])
    expect(await (await fetch(at)).text()).toBe('day,volume\n')
    server.files.clear()
    expect((await fetch(at)).status).toBe(404)
    await Promise.all([stored.close(), reports.close(), server.stop()])
  })
})
