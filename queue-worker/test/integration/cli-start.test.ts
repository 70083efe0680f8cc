import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import {
  type Cli,
  endAll,
  folder,
  freePort,
  removeFolder,
  run,
  start,
  writeProcessors,
} from '../support/cli.ts'
import { connectionEnv, KINDS, type Kind, processorCode } from '../support/cli-env.ts'
import { startProxy } from '../support/proxy.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const look = createInspector(sql)
let cwd = ''
let queue = ''
beforeEach(async () => {
  cwd = await folder()
  queue = uniqueQueue()
})
afterEach(async () => {
  await endAll()
  await look.drop(queue)
  await removeFolder(cwd)
})
afterAll(() => sql.end())

function worker(kind: Kind, body: string, env: Record<string, string> = {}): Cli {
  const processors = writeProcessors(cwd, { 'one.ts': processorCode(queue, body) })
  return start(['start'], { cwd, env: { ...connectionEnv(kind, stack), PROCESSORS: processors, ...env } })
}

const send = () => sql`select pgmq.send(${queue}, '{}'::jsonb)`
const WAITS = `console.log('begun ' + context.messageId)
    await new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason)))`

describe('with nothing configured it ends with 3 and names what to set', () => {
  test.each(['start', 'worker', 'drain', 'send', 'queues'])('%s', async (command) => {
    const args = command === 'send' ? [command, 'email_queue', '{}'] : [command]
    const { code, out, err } = await run(args, { cwd })
    expect([code, out]).toEqual([3, ''])
    expect(err).toMatch(/^error: no connection is configured\n/)
    expect(err).toMatch(/SUPABASE_URL and SUPABASE_SECRET_KEY.*DATABASE_URL.*\.env.*npm run demo/s)
    expect(existsSync(join(cwd, '.queue-worker'))).toBe(false)
  })

  test.each(['dev', 'send', 'queues'])(
    '%s under NODE_ENV=production, which never is embedded',
    async (command) => {
      const args = command === 'send' ? [command, 'email_queue', '{}'] : [command]
      const { code, err } = await run(args, { cwd, env: { NODE_ENV: 'production', PORT: 'off' } })
      expect(code).toBe(3)
      expect(err).toMatch(/no connection is configured/)
      expect(existsSync(join(cwd, '.queue-worker'))).toBe(false)
    },
  )

  test('a connection without any processor', async () => {
    const { code, err } = await run(['start'], { cwd, env: connectionEnv('rpc', stack) })
    expect(code).toBe(3)
    expect(err).toMatch(/no processor is configured\n\nWhat to do: Set SMTP_HOST and SMTP_FROM .*PROCESSORS/)
  })
})

describe.each(KINDS)('over %s', (kind) => {
  test('it processes, and on SIGTERM lets what runs finish and exits with 0', async () => {
    const cli = worker(kind, `console.log('begun'); await new Promise((done) => setTimeout(done, 1000))`)
    await cli.says(new RegExp(`reads ${queue} over ${kind}`))
    await send()
    await cli.says(/begun/)
    cli.signal('SIGTERM')
    expect(await cli.ended, cli.text()).toBe(0)
    expect(cli.text()).toMatch(/stopping \(a signal\): 1 running/)
    expect(await look.archived(queue)).toHaveLength(1)
  })

  test('a second signal hurries: what runs is aborted and given back', async () => {
    // Without the second signal it would wait for an hour.
    const cli = worker(kind, WAITS, { WORKER_DRAIN_TIMEOUT_MS: '3600000' })
    await cli.says(/reads/)
    await send()
    await cli.says(/begun/)
    cli.signal('SIGINT')
    await cli.says(/stopping/)
    cli.signal('SIGINT')
    expect(await cli.ended, cli.text()).toBe(0)
    const [message] = await look.messages(queue)
    expect(message?.vt.getTime()).toBeLessThanOrEqual(Date.now() + 1000)
    expect((await look.outcomes(queue)).map(({ outcome }) => outcome)).toEqual(['release'])
  })
})

test('the worker command does the same', async () => {
  const processors = writeProcessors(cwd, { 'one.ts': processorCode(queue, '') })
  const port = await freePort()
  const own = { PORT: String(port), VIEWER_TOKEN: 'v'.repeat(32), DASHBOARD_PATH: '/ops' }
  const cli = start(['worker'], {
    cwd,
    env: { ...connectionEnv('rpc', stack), PROCESSORS: processors, ...own },
  })
  await cli.says(/reads/)
  expect(cli.text()).toContain(
    `the dashboard is at http://127.0.0.1:${port}/ops, for who has VIEWER_TOKEN (viewer)`,
  )
  expect((await fetch(`http://127.0.0.1:${port}/ops/`)).status).toBe(401)
  await send()
  await until('it is archived', async () => (await look.archived(queue)).length === 1)
  cli.signal('SIGTERM')
  expect(await cli.ended).toBe(0)
})

test('settings may come from .env, and the environment wins over it', async () => {
  const processors = writeProcessors(cwd, { 'one.ts': processorCode(queue, '') })
  const lines = Object.entries({
    ...connectionEnv('rpc', stack),
    PROCESSORS: processors,
    WORKER_ID: 'from-file',
  })
  await writeFile(join(cwd, '.env'), lines.map(([name, value]) => `${name}=${value}\n`).join(''))
  const port = await freePort()
  const own = { WORKER_ID: 'from-environment', PORT: String(port), DASHBOARD: 'off' }
  const cli = start(['start'], { cwd, env: own })
  await cli.says(/worker from-environment reads/)
  expect((await fetch(`http://127.0.0.1:${port}/dashboard/`)).status).toBe(404)
  expect(cli.text()).not.toContain('the dashboard is at')
  cli.signal('SIGTERM')
  expect(await cli.ended).toBe(0)
})

describe('the health endpoint', () => {
  const ask = async (port: number, path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    const body = (await answer.json()) as { status: string; reason: string | null }
    return { status: answer.status, body }
  }

  test('a port that is taken is a clear error', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const cli = worker('rpc', '', { PORT: port })
    expect(await cli.ended).toBe(3)
    expect(cli.err()).toMatch(`error: port ${port} on 127.0.0.1 is taken by another program`)
    expect(cli.err()).toMatch(/What to do: Set PORT to a free port, or PORT=off/)
    server.close()
  })

  test('a HOST that is none of this machine is a clear error', async () => {
    const cli = worker('rpc', '', { PORT: String(await freePort()), HOST: '192.0.2.1' })
    expect(await cli.ended).toBe(3)
    expect(cli.err()).toMatch(
      /HOST 192\.0\.2\.1 is no address of this machine.*\n\nWhat to do: Set HOST to 127/,
    )
  })

  test('tells whether the worker can work, while the database is there, away and there again', async () => {
    const proxy = await startProxy({ targetPort: Number(new URL(stack.databaseUrl).port) })
    const port = await freePort()
    const url = new URL(stack.databaseUrl)
    url.port = String(proxy.port)
    try {
      const cli = worker('postgres', '', { PORT: String(port), DATABASE_URL: url.href })
      await cli.says(/reads/)
      for (const path of ['/health', '/api/health', '/readyz']) {
        const { status, body } = await ask(port, path)
        expect([status, body.status, body.reason]).toEqual([200, 'ok', null])
      }
      proxy.set('hang-up')
      proxy.cut()
      await until('it says that it cannot work', async () => (await ask(port, '/health')).status === 503)
      const away = (await ask(port, '/health')).body
      expect(away).toMatchObject({ status: 'unavailable', lastError: { kind: 'disconnected' } })
      expect(away.reason).toMatch(/the database has not answered for \d+ s/)
      expect((await ask(port, '/livez')).status).toBe(200)
      expect(cli.text()).toMatch(/the database cannot be used: /)
      proxy.set('pass')
      await until('it can work again', async () => (await ask(port, '/health')).status === 200, 90_000)
      await cli.says(/the database answers again/)
      expect(cli.text().match(/the database cannot be used/g)?.length).toBeLessThan(4)
      expect(cli.text()).not.toContain(url.password)
      cli.signal('SIGTERM')
      expect(await cli.ended).toBe(0)
    } finally {
      await proxy.stop()
    }
  })

  test('answers what makes no sense and lives on', async () => {
    const port = await freePort()
    const cli = worker('rpc', '', { PORT: String(port) })
    await cli.says(/reads/)
    const raw = (method: string, path: string) =>
      new Promise<number>((resolve, reject) => {
        const asked = request({ port, host: '127.0.0.1', method, path }, (answer) => {
          answer.resume()
          resolve(answer.statusCode ?? 0)
        })
        asked.on('error', reject)
        asked.end()
      })
    expect(await raw('GET', '//')).toBe(404)
    expect(await raw('GET', '/health?from=probe')).toBe(200)
    expect(await raw('HEAD', '/health')).toBe(200)
    expect(await raw('POST', '/health')).toBe(405)
    expect(await raw('GET', '/%')).toBe(404)
    expect(cli.running()).toBe(true)
  })
})
