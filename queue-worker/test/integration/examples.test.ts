/** examples/web-service and examples/triggers-only as their pages say, in a database of their own, with the built worker. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type Cli, endAll, projectRoot, run, start } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { until } from '../support/worker.ts'

const examples = join(projectRoot, 'examples')
const program = [process.execPath, join(projectRoot, 'dist/index.js')] as const

let database: TestDatabase
let worker: Cli
beforeAll(async () => {
  const { smtp } = inject('stack')
  database = await createDatabase(inject('stack'))
  const env = {
    DATABASE_URL: database.url,
    SMTP_HOST: smtp.host,
    SMTP_PORT: String(smtp.port),
    SMTP_USER: smtp.user,
    SMTP_PASS: smtp.pass,
    SMTP_FROM: 'Courses <courses@example.com>',
    PORT: 'off',
  }
  const migrated = await run(['migrate'], { cwd: examples, env, command: program })
  expect(migrated.code, migrated.text).toBe(0)
  worker = start(['worker'], { cwd: examples, env: { ...env, QUEUES: 'email_queue' }, command: program })
  await worker.says(/reads email_queue/)
})
afterAll(async () => {
  worker?.signal('SIGTERM')
  expect(await worker?.ended).toBe(0)
  await endAll()
  await database?.dispose()
})

const apply = async (example: string) =>
  database.sql.unsafe(await readFile(join(examples, example, 'schema.sql'), 'utf8')).simple()

/** Subjects of the mails to this address. */
async function mailsTo(address: string): Promise<string[]> {
  const { mailDirectory } = inject('stack')
  const names = (await readdir(mailDirectory)).filter((name) => name.endsWith('.eml'))
  const mails = await Promise.all(names.map((name) => readFile(join(mailDirectory, name), 'utf8')))
  return mails
    .filter((mail) => new RegExp(`^To: .*${address}`, 'm').test(mail))
    .map((mail) => /^Subject: (.*?)\r?$/m.exec(mail)?.[1] ?? '')
    .sort()
}

/** How many messages were ever sent, and how many wait. */
async function sent() {
  const [row] = await database.sql`
    select (select count(*) from pgmq.q_email_queue)::int as waiting, (select count(*) from pgmq.a_email_queue)::int as archived`
  return row
}

test('web-service: a registration and its mail, or neither', async () => {
  await apply('web-service')
  const env = { DATABASE_URL: database.url, PORT: '0' }
  const server = start([], { cwd: examples, env, command: [process.execPath, 'web-service/server.ts'] })
  await server.says(/listening on/)
  const [origin = ''] = /http:\S+/.exec(server.out()) ?? []
  const post = async (body: unknown) => {
    const response = await fetch(`${origin}/registrations`, { method: 'POST', body: JSON.stringify(body) })
    return [response.status, await response.json()]
  }
  expect(await post({ course: 1, name: 'Ann', email: 'ann@web.example' })).toEqual([201, { id: '1' }])
  expect(await post({ course: 1, name: 'Ann' })).toEqual([400, { error: 'give course, name and email' }])
  expect(await post({ course: 1, name: 'Ann', email: 'ann@web.example' })).toEqual([
    409,
    { error: 'you have a seat already' },
  ])

  const next = await run(['--input-type=module', '-e', NEXT], {
    cwd: examples,
    env,
    command: [process.execPath],
  })
  expect(next.code, next.text).toBe(0)
  expect(JSON.parse(next.out)).toEqual([
    [201, { id: '3' }],
    [400, { error: 'give course, name and email' }],
    { refused: 'the course is full' },
  ])

  expect(await post({ course: 1, name: 'Eve', email: 'eve@web.example' })).toEqual([
    409,
    { error: 'the course is full' },
  ])
  await until('both mails are sent', async () => (await sent())?.archived === 2)
  expect(await sent()).toEqual({ waiting: 0, archived: 2 })
  expect(await mailsTo('ann@web.example')).toEqual(['You are in'])
  expect(await mailsTo('bob@web.example')).toEqual(['You are in'])
  expect(await mailsTo('eve@web.example')).toEqual([])
  const registered = await database.sql`select email from registrations order by id`
  expect(registered.map(({ email }) => email)).toEqual(['ann@web.example', 'bob@web.example'])
  server.signal('SIGTERM')
  expect(await server.ended, server.text()).toBe(0)
})

/** The route handler and the server action, called as Next.js calls them. */
const NEXT = `
  const { POST } = await import('./web-service/next/app/registrations/route.ts')
  const { signUp } = await import('./web-service/next/app/course/actions.ts')
  const { close } = await import('./web-service/register.ts')
  const post = async (body) => {
    const response = await POST(new Request('http://localhost/registrations', { method: 'POST', body: JSON.stringify(body) }))
    return [response.status, await response.json()]
  }
  const form = new FormData()
  for (const [name, value] of Object.entries({ course: '1', name: 'Eve', email: 'eve@web.example' })) form.append(name, value)
  const answers = [await post({ course: 1, name: 'Bob', email: 'bob@web.example' }), await post({}), await signUp(null, form)]
  console.log(JSON.stringify(answers))
  await close()`

test('triggers-only: the statements of its page send two mails, and what is rolled back sends none', async () => {
  await apply('triggers-only')
  await apply('triggers-only')
  const page = await readFile(join(examples, 'triggers-only/README.md'), 'utf8')
  const [, statements = ''] = /^```sql\n([\s\S]*?)^```$/m.exec(page) ?? []
  const before = (await sent())?.archived ?? 0
  const session = await database.sql.reserve()
  const typed = statements.replaceAll('@example.com', '@triggers.example').replace(/--.*$/gm, '')
  for (const statement of typed.split(';')) await session.unsafe(statement).simple()
  session.release()
  await until('both mails are sent', async () => (await sent())?.archived === before + 2)
  expect((await sent())?.waiting).toBe(0)
  expect(await mailsTo('ann@triggers.example')).toEqual(['Order 1: new', 'Order 1: shipped'])
  expect(await mailsTo('bob@triggers.example')).toEqual([])
  expect((await database.sql`select customer from orders`).map(({ customer }) => customer)).toEqual(['Ann'])
})
