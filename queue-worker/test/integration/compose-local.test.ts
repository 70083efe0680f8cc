/**
 * The profile "local" of docker-compose.yml without an engine: its SQL, its API's settings and the worker's, on a database of
 * its own and a real PostgREST; the gateway, whose nginx is not here, is stood for by a few lines that do the same.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { findPackages } from '../../src/embedded/packages.ts'
import { endAll, folder, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { lastingPort, listenOn } from '../support/ports.ts'
import { type TestStack, testStack } from '../support/stack.ts'
import { until } from '../support/worker.ts'

const read = (path: string) => readFileSync(join(projectRoot, path), 'utf8')
const { services } = parse(read('docker-compose.yml'), { merge: true })
const settings = parseEnv(read('deploy/docker/local.env'))

let stack: TestStack
let cwd = ''
let admin: Sql
let postgrest: ChildProcess
let gateway: Server

/** A connection string of the file, to the server of this test. */
function here(url: string): string {
  const changed = new URL(url)
  changed.host = new URL(stack.databaseUrl).host
  changed.pathname = '/local'
  return changed.href
}

beforeAll(async () => {
  stack = await testStack()
  cwd = await folder()
  // The image's postgres is a superuser, and none of the other roles is there yet.
  const before = postgres(stack.adminUrl, { max: 1, onnotice: () => {} })
  await before.unsafe(`alter role postgres superuser password 'for-this-machine-alone'`)
  for (const role of ['authenticator', 'anon', 'authenticated', 'service_role']) {
    await before.unsafe(`drop owned by ${role} cascade`)
    await before.unsafe(`drop role ${role}`)
  }
  await before.unsafe('create database local owner postgres')
  await before.end()
  admin = postgres(here(services.migrate.environment.DATABASE_URL), { max: 2, onnotice: () => {} })
  await admin.unsafe(read('deploy/docker/roles.sql'))
})
afterAll(async () => {
  await endAll()
  postgrest?.kill('SIGKILL')
  gateway?.closeAllConnections()
  gateway?.close()
  await admin?.end()
  await stack?.dispose()
  await removeFolder(cwd)
})

test('the migration is applied, by the command and the address of the file', async () => {
  const [command, ...none] = services.migrate.command
  expect([command, none]).toEqual(['migrate', []])
  const { DATABASE_URL } = services.migrate.environment
  const { code, text } = await run(['migrate'], { cwd, env: { DATABASE_URL: here(DATABASE_URL) } })
  expect(code, text).toBe(0)
})

test('a worker with the settings of the file processes over its API, and nobody else may', async () => {
  const { PGRST_DB_URI, ...more } = services.rest.environment
  const port = String(await lastingPort())
  const { postgrestFile } = findPackages(18)
  postgrest = spawn(postgrestFile, [], {
    stdio: 'ignore',
    env: {
      ...more,
      PGRST_DB_URI: here(PGRST_DB_URI),
      PGRST_SERVER_HOST: '127.0.0.1',
      PGRST_SERVER_PORT: port,
    },
  })
  const [, path = '', to] =
    /location (\S+) \{\s+proxy_pass http:\/\/rest:3000(\S*);/.exec(read('deploy/docker/gateway.conf')) ?? []
  expect([path, to]).toEqual(['/rest/v1/', '/'])
  gateway = createServer((incoming, answer) => {
    const { method, headers, url = '' } = incoming
    const asked = request(
      { port, host: '127.0.0.1', method, headers, path: url.replace(path, '/') },
      (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers)
        reply.pipe(answer)
      },
    )
    asked.on('error', () => answer.writeHead(502).end())
    incoming.pipe(asked)
  })
  await listenOn(gateway, 0)
  const address = gateway.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const env = {
    ...settings,
    SUPABASE_URL: url,
    SMTP_HOST: stack.smtp.host,
    SMTP_PORT: String(stack.smtp.port),
    SMTP_USER: stack.smtp.user,
    SMTP_PASS: stack.smtp.pass,
    EMAIL_TEMPLATES_DIR: join(projectRoot, 'templates'),
    REPORTS_DIR: join(cwd, 'reports'),
    PORT: 'off',
  }
  await until(
    'PostgREST answers',
    async () => (await fetch(`${url}/rest/v1/`).catch(() => null))?.status === 200,
  )
  const worker = start([services['queue-worker'].command[0]], { cwd, env })
  await worker.says(/reads .*email_queue.* over rpc/)
  await admin`select pgmq.send('email_queue', '{"to": "you@example.com", "subject": "Local", "text": "Hello"}'::jsonb)`
  await until('it is archived', async () => (await admin`select from pgmq.a_email_queue`).length === 1)
  expect(worker.text()).not.toMatch(/"level":"error"/)
  worker.signal('SIGTERM')
  expect(await worker.ended).toBe(0)
  const stranger = await fetch(`${url}/rest/v1/rpc/queue_worker_status`, {
    method: 'POST',
    body: '{"request": {}}',
    headers: { 'content-type': 'application/json' },
  })
  expect(stranger.status).toBe(401)
})
