/** Every command of docs/http-api.md and of the README's section on HTTP, as it stands there, in a shell, against a worker for e-mail. */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cli, endAll, folder, freePort, projectRoot, removeFolder, start } from '../support/cli.ts'

const TOKEN = 'doc-token-0123456789abcdef0123456789abcdef'
const withoutCurl = spawnSync('curl', ['--version']).error === undefined ? '' : ' (curl is not installed)'
let cwd = ''
let port = 0
let dev: Cli
beforeAll(async () => {
  if (withoutCurl !== '') return
  cwd = await folder('queue-worker-http-')
  port = await freePort()
  const own = { PORT: String(port), ADMIN_TOKEN: TOKEN, QUEUES: 'email_queue' }
  dev = start(['dev'], { cwd, env: { ...own, EMAIL_TEMPLATES_DIR: join(projectRoot, 'templates') } })
  await dev.says(/reads email_queue/)
})
afterAll(async () => {
  await endAll()
  if (cwd !== '') await removeFolder(cwd)
})

function commandsOf(page: string): string[] {
  const text = readFileSync(join(projectRoot, page), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  return blocks.filter((block) => block.startsWith('curl ') && block.includes('/api/queues/'))
}

async function run(command: string): Promise<Record<string, unknown>> {
  const here = command.replaceAll('http://127.0.0.1:8080', `http://127.0.0.1:${port}`)
  const env = { ...process.env, ADMIN_TOKEN: TOKEN }
  const { stdout } = await promisify(execFile)('sh', ['-c', here.replace('curl ', 'curl --silent ')], { env })
  return JSON.parse(stdout)
}

test.skipIf(withoutCurl !== '')(`the examples do what they say${withoutCurl}`, async () => {
  const [one, many, later, once, wrong, ...others] = commandsOf('docs/http-api.md')
  expect(others).toEqual([])
  expect(await run(one ?? '')).toEqual({ queue: 'email_queue', msg_ids: ['1'], duplicates: [] })
  expect(await run(many ?? '')).toEqual({ queue: 'email_queue', msg_ids: ['2', '3'], duplicates: [] })
  expect(await run(later ?? '')).toEqual({ queue: 'email_queue', msg_ids: ['4'], duplicates: [] })
  expect(await run(once ?? '')).toEqual({ queue: 'email_queue', msg_ids: ['5'], duplicates: [] })
  expect(await run(once ?? '')).toEqual({ queue: 'email_queue', msg_ids: ['5'], duplicates: ['5'] })
  expect(await run(wrong ?? '')).toEqual({
    error: expect.stringMatching(/^nothing was sent: message\.to: /),
    fields: [{ field: 'message.to', reason: expect.any(String) }],
  })
  const [readme = ''] = commandsOf('README.md')
  expect(await run(readme)).toEqual({ queue: 'email_queue', msg_ids: ['6'], duplicates: [] })
})

test.skipIf(withoutCurl !== '')(
  'dev tells where the dashboard is and who may see it; with a token it is open',
  async () => {
    const at = `http://127.0.0.1:${port}/dashboard`
    expect(dev.text()).toContain(`dashboard: ${at}   (for who has ADMIN_TOKEN (operator))`)
    await dev.says(/the dashboard is at http:\S+\/dashboard, for who has ADMIN_TOKEN \(operator\)/)
    expect((await fetch(`${at}/`)).status).toBe(401)
    // As docs/dashboard.md has it; whether the database has the dashboard's functions is not the point here.
    const shown = await fetch(`${at}/`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect([401, 403, 404]).not.toContain(shown.status)
    expect(await shown.text()).toMatch(/<span>operator [0-9a-f]{4}<\/span>/)
    expect(dev.text()).not.toContain(TOKEN)
  },
)
