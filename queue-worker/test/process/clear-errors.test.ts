/** Everything that commonly goes wrong with a connection, through the real command: what it says, and what to do. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { createAuthority } from '../support/certificates.ts'
import { endAll, folder, freePort, logLines, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, type Kind, processorCode } from '../support/cli-env.ts'
import { createDatabase } from '../support/databases.ts'
import { startProxy } from '../support/proxy.ts'
import { type TestStack, testStack } from '../support/stack.ts'
import { until } from '../support/worker.ts'

let stack: TestStack
let authority: Awaited<ReturnType<typeof createAuthority>>
let cwd = ''
let processors = ''
const cleanUps: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  ;[stack, authority] = await Promise.all([testStack(), createAuthority()])
})
beforeEach(async () => {
  cwd = await folder()
  processors = writeProcessors(cwd, { 'one.ts': processorCode('orders', '') })
})
afterEach(async () => {
  await endAll()
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  await removeFolder(cwd)
})
afterAll(async () => {
  await stack.dispose()
  await authority.remove()
})

type Env = Record<string, string>

/** Does something to the stack's own database, where PostgREST looks, or to one of its own for a direct worker. */
async function databaseWith(kind: Kind, setUp: (sql: postgres.Sql) => Promise<unknown>): Promise<Env> {
  if (kind === 'postgres') {
    const database = await createDatabase(stack)
    cleanUps.push(() => database.dispose())
    await setUp(database.sql)
    return { DATABASE_URL: database.url }
  }
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await setUp(sql)
  await sql`notify pgrst, 'reload schema'`
  await sql.end()
  return {}
}

const migrated = async (sql: postgres.Sql) => applyMigrations(sql, await listMigrations())
const speaking = (protocol: number) => async (sql: postgres.Sql) => {
  await migrated(sql)
  await sql.unsafe(`create or replace function queue_worker.protocol() returns int
    language sql immutable set search_path = '' as 'select ${protocol}'`)
}

async function tlsServer(kind: Kind, options: { expired?: boolean }): Promise<Env> {
  const pair = await authority.sign('localhost', options)
  if (kind === 'postgres') {
    const proxy = await startProxy({ targetPort: Number(new URL(stack.databaseUrl).port), certificate: pair })
    cleanUps.push(proxy.stop)
    const url = new URL(stack.databaseUrl)
    url.host = `localhost:${proxy.port}`
    return { DATABASE_URL: `${url.href}?sslmode=verify-full` }
  }
  const server = createServer(pair, (_request, response) => response.end('{}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => new Promise((resolve) => server.close(resolve)))
  return { SUPABASE_URL: `https://localhost:${(server.address() as AddressInfo).port}` }
}

const elsewhere = (change: (url: URL) => void): Env => {
  const url = new URL(stack.databaseUrl)
  change(url)
  return { DATABASE_URL: url.href }
}

type Case = {
  readonly what: string
  readonly kind: Kind
  readonly env: () => Promise<Env> | Env
  /** 3: a person must act, it ends. 'stays': time may mend it, it goes on trying. 'works': it reads. */
  readonly ends: 3 | 'stays' | 'works'
  readonly says: RegExp
  readonly remedy: RegExp
}

const KEY = /SUPABASE_SECRET_KEY.*secret key of the same project/
const MIGRATE = /npx queue-worker migrate/

/** In this order: the stack of the RPC cases has no migration at first. */
const CASES: readonly Case[] = [
  {
    what: 'missing migration',
    kind: 'rpc',
    env: () => ({}),
    ends: 3,
    says: /functions of the queue worker are not there/,
    remedy: MIGRATE,
  },
  {
    what: 'missing migration',
    kind: 'postgres',
    env: () => databaseWith('postgres', async () => {}),
    ends: 3,
    says: /functions of the queue worker are not there/,
    remedy: MIGRATE,
  },
  {
    what: 'older migration',
    kind: 'rpc',
    env: () => databaseWith('rpc', speaking(0)),
    ends: 3,
    says: /protocol/,
    remedy: MIGRATE,
  },
  {
    what: 'older migration',
    kind: 'postgres',
    env: () => databaseWith('postgres', speaking(0)),
    ends: 3,
    says: /protocol/,
    remedy: MIGRATE,
  },
  {
    what: 'newer migration',
    kind: 'rpc',
    env: () => databaseWith('rpc', speaking(99)),
    ends: 'works',
    says: /reads orders over rpc/,
    remedy: /^/,
  },
  {
    what: 'newer migration',
    kind: 'postgres',
    env: () => databaseWith('postgres', speaking(99)),
    ends: 'works',
    says: /reads orders over postgres/,
    remedy: /^/,
  },
  {
    what: 'wrong key',
    kind: 'rpc',
    env: () => ({ SUPABASE_SECRET_KEY: 'sb_secret_of_another_project_0123456789' }),
    ends: 3,
    says: /the key was refused/,
    remedy: KEY,
  },
  {
    what: 'anon key',
    kind: 'rpc',
    env: () => ({ SUPABASE_SECRET_KEY: stack.anonKey }),
    ends: 3,
    says: /is a key of the role anon, which may not use queues/,
    remedy: /secret key \(sb_secret_…\) or its service_role key, from Settings > API Keys/,
  },
  {
    what: 'publishable key',
    kind: 'rpc',
    env: () => ({ SUPABASE_SECRET_KEY: stack.publishableKey }),
    ends: 3,
    says: /is the publishable key/,
    remedy: /Settings > API Keys/,
  },
  {
    what: 'wrong password',
    kind: 'postgres',
    env: () =>
      elsewhere((url) => {
        url.password = 'wrong'
      }),
    ends: 3,
    says: /the login was refused/,
    remedy: /Check user and password in DATABASE_URL/,
  },
  {
    what: 'wrong host',
    kind: 'rpc',
    env: () => ({ SUPABASE_URL: 'http://no-such-host.invalid' }),
    ends: 'stays',
    says: /the name no-such-host\.invalid .*\(DNS/,
    remedy: /Check the host in SUPABASE_URL/,
  },
  {
    what: 'wrong host',
    kind: 'postgres',
    env: () =>
      elsewhere((url) => {
        url.hostname = 'no-such-host.invalid'
      }),
    ends: 'stays',
    says: /the name no-such-host\.invalid .*\(DNS/,
    remedy: /Check the host in DATABASE_URL/,
  },
  {
    what: 'refused port',
    kind: 'rpc',
    env: async () => ({ SUPABASE_URL: `http://127.0.0.1:${await freePort()}` }),
    ends: 'stays',
    says: /nothing accepts connections there \(refused\)/,
    remedy: /host and port in SUPABASE_URL/,
  },
  {
    what: 'refused port',
    kind: 'postgres',
    env: async () => {
      const port = await freePort()
      return elsewhere((url) => {
        url.port = String(port)
      })
    },
    ends: 'stays',
    says: /nothing accepts connections there \(refused\)/,
    remedy: /host and port in DATABASE_URL/,
  },
  {
    what: 'a server that does not answer',
    kind: 'postgres',
    env: async () => {
      const proxy = await startProxy({ targetPort: 1 })
      proxy.set('silent')
      cleanUps.push(proxy.stop)
      return {
        ...elsewhere((url) => {
          url.port = String(proxy.port)
        }),
        CONNECT_TIMEOUT_MS: '500',
      }
    },
    ends: 'stays',
    says: /within the time limit/,
    remedy: /CONNECT_TIMEOUT_MS/,
  },
  {
    what: 'unknown CA',
    kind: 'rpc',
    env: () => tlsServer('rpc', {}),
    ends: 3,
    says: /not issued by a CA that is trusted here/,
    remedy: /DATABASE_CA_FILE.*NODE_EXTRA_CA_CERTS/,
  },
  {
    what: 'unknown CA',
    kind: 'postgres',
    env: () => tlsServer('postgres', {}),
    ends: 3,
    says: /not issued by a CA that is trusted here/,
    remedy: /DATABASE_CA_FILE/,
  },
  {
    what: 'expired certificate',
    kind: 'rpc',
    env: async () => ({ ...(await tlsServer('rpc', { expired: true })), DATABASE_CA_FILE: authority.caFile }),
    ends: 3,
    says: /its certificate has expired/,
    remedy: /Renew the certificate/,
  },
  {
    what: 'expired certificate',
    kind: 'postgres',
    env: async () => ({
      ...(await tlsServer('postgres', { expired: true })),
      DATABASE_CA_FILE: authority.caFile,
    }),
    ends: 3,
    says: /its certificate has expired/,
    remedy: /Renew the certificate/,
  },
]

test.each(CASES)('$what over $kind is told with its remedy', async ({ kind, env, ends, says, remedy }) => {
  const all = { ...connectionEnv(kind, stack), PROCESSORS: processors, ...(await env()) }
  const cli = start(['start'], { cwd, env: all })
  if (ends === 3) {
    expect(await cli.ended, cli.text()).toBe(3)
    const [what = '', todo = ''] = cli.err().split('\n\nWhat to do: ')
    expect(what).toMatch(/^(warning: .*\n)*error: /)
    expect(what).toMatch(says)
    expect(`${what}\n${todo}`).toMatch(remedy)
    expect(todo.length).toBeGreaterThan(20)
  } else {
    await cli.says(says)
    if (ends === 'stays') {
      const lost = logLines(cli.text()).filter((line) => /the database cannot be used/.test(String(line.msg)))
      expect(lost).toHaveLength(1)
      expect(lost[0]?.msg).toMatch(says)
      expect(lost[0]?.remedy).toMatch(remedy)
    }
    expect(cli.running()).toBe(true)
    cli.signal('SIGTERM')
    expect(await cli.ended, cli.text()).toBe(0)
  }
  expect(cli.text()).not.toMatch(/ {4}at /)
  for (const secret of [stack.secretKey, new URL(stack.databaseUrl).password]) {
    expect(cli.text()).not.toContain(secret)
  }
})

describe.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  const ready = async () => {
    const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
    cleanUps.push(() => sql.end())
    await speaking(2)(sql)
    await sql`notify pgrst, 'reload schema'`
    return sql
  }

  test('a queue that goes missing is told with how to make it again, and is read once it is there', async () => {
    const sql = await ready()
    const cli = start(['start'], { cwd, env: { ...connectionEnv(kind, stack), PROCESSORS: processors } })
    await cli.says(/reads orders/)
    await sql`select pgmq.drop_queue('orders')`
    await cli.says(/queue orders does not exist any more/)
    const [line] = logLines(cli.text()).filter(({ msg }) => /does not exist any more/.test(String(msg)))
    expect(line?.remedy).toBe(`select pgmq.create('orders');`)
    await sql`select pgmq.create('orders')`
    await cli.says(/queue orders is read again/)
    cli.signal('SIGTERM')
    expect(await cli.ended).toBe(0)
  })

  test('a wrong SMTP password is told with its remedy, and the mail is neither lost nor charged for it', async () => {
    const sql = await ready()
    const { host, port, user } = stack.smtp
    const env = {
      ...connectionEnv(kind, stack),
      SMTP_HOST: host,
      SMTP_PORT: String(port),
      SMTP_USER: user,
      SMTP_PASS: 'not-the-smtp-password',
      SMTP_FROM: 'a@example.com',
    }
    const cli = start(['start'], { cwd, env })
    await cli.says(/reads email_queue/)
    const [sent] =
      await sql`select pgmq.send('email_queue', '{"to": "b@example.com", "subject": "Hi", "text": "Hello"}') as id`
    await cli.says(/refused the login/)
    await until('the mail is put off', async () => {
      const rows =
        await sql`select outcome from queue_worker.outcomes where queue = 'email_queue' and msg_id = ${sent?.id}`
      return rows.length > 0 && rows.every(({ outcome }) => outcome === 'snooze')
    })
    expect(await sql`select from pgmq.q_email_queue where msg_id = ${sent?.id}`).toHaveLength(1)
    const [line] = logLines(cli.text()).filter(
      ({ level, msg }) => level === 'error' && /login/.test(String(msg)),
    )
    expect(line?.msg).toMatch(/refused the login: 535.*SMTP_USER.*SMTP_PASS.*waits until the login works/s)
    expect(cli.text()).not.toContain('not-the-smtp-password')
    cli.signal('SIGTERM')
    expect(await cli.ended).toBe(0)

    const right = start(['drain', '--within', '1m'], { cwd, env: { ...env, SMTP_PASS: stack.smtp.pass } })
    expect(await right.ended, right.text()).toBe(0)
    expect(right.out()).toMatch(/drained: 1 succeeded, 0 failed/)
  })
})
