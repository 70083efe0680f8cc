/** No secret reaches the log, whatever a processor throws or logs. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { connectPostgres, connectSupabase, createWorker, defineProcessor } from '../../src/library.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { endAll, folder, logLines, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { noneOf } from '../support/secrets.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const queue = uniqueQueue()
let cwd = ''

const SMTP_PASS = 'h4rd: to/gue$s+"quoted" & long'
const MARKER = 'payload-marker-5d1c'
const HEADER = 'header-marker-77aa'

/** Throws and logs everything it can lay its hands on, in the forms in which secrets usually leak. */
const CHATTERBOX = `
    const forms = [SECRETS.join(' '), ...SECRETS.flatMap((one) => [
      encodeURIComponent(one),
      Buffer.from(one).toString('base64'),
      Buffer.from('user:' + one).toString('base64url'),
      JSON.stringify(JSON.stringify({ password: one })),
      'https://user:' + encodeURIComponent(one) + '@example.com/',
    ])]
    for (const level of ['trace', 'debug', 'info', 'warn', 'error']) {
      for (const form of forms) {
        context.logger[level]({ detail: form, nested: { [form]: [form] } }, 'it said ' + form)
        context.logger[level](Object.assign(new Error(form, { cause: new Error(form) }), { code: form, remedy: form }))
        context.logger[level]({ err: new Error(form) }, 'with %s', form)
      }
    }
    const all = forms.join('\\n')
    if (payload.how === 'string') throw all
    if (payload.how === 'object') throw { all }
    if (payload.how === 'never') throw new UnrecoverableError(all)
    throw Object.assign(new Error(all, { cause: new Error(all) }), { response: { headers: { authorization: all } } })`

beforeAll(async () => {
  cwd = await folder()
  for (const name of [queue, `${queue}_dlq`]) await sql`select pgmq.create(${name})`
})
afterEach(endAll)
afterAll(async () => {
  await look.drop(queue)
  await sql.end()
  await removeFolder(cwd)
})

test.each(KINDS)('a processor that throws and logs secrets over %s, at the lowest level', async (kind) => {
  const databasePassword = new URL(stack.databaseUrl).password
  const secrets = [stack.secretKey, SMTP_PASS, databasePassword]
  const code = processorCode(
    queue,
    CHATTERBOX,
    'maxAttempts: 2, backoff: { baseSeconds: 0.1, maxSeconds: 0.2 },',
  )
  const processors = writeProcessors(await fresh(), {
    'one.ts': `const SECRETS: string[] = ${JSON.stringify(secrets)}\n${code}`,
  })
  const env = {
    SUPABASE_URL: stack.url,
    SUPABASE_SECRET_KEY: stack.secretKey,
    ...connectionEnv(kind, stack),
    DATABASE_URL: stack.databaseUrl,
    QUEUE_TRANSPORT: kind,
    PROCESSORS: processors,
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(stack.smtp.port),
    SMTP_USER: 'somebody',
    SMTP_PASS,
    SMTP_FROM: 'a@example.com',
    QUEUES: queue,
    LOG_LEVEL: 'trace',
  }
  const suspect = await sendSuspect({ how: 'error', key: stack.secretKey, pass: SMTP_PASS })
  for (const how of ['string', 'object', 'never', 'error']) {
    const payload = { how, note: MARKER, key: stack.secretKey, pass: SMTP_PASS }
    await sql`select pgmq.send(${queue}::text, ${sql.json(payload)}::jsonb, ${sql.json({ trace: HEADER, key: SMTP_PASS })}::jsonb)`
  }
  // Not this processor's payload at all: the error quotes what was wrong with it.
  await sql`select pgmq.send(${queue}::text, ${sql.json(`${MARKER} ${stack.secretKey}`)}::jsonb)`
  const before = (await look.deadLetters(queue)).length
  const cli = start(['start'], { cwd, env })
  await until(
    'all of them are dead letters',
    async () => (await look.deadLetters(queue)).length === before + 6,
  )
  cli.signal('SIGTERM')
  expect(await cli.ended).toBe(0)

  const text = cli.text()
  expect(logLines(text).filter(({ msg }) => /it said/.test(String(msg))).length).toBeGreaterThan(50)
  expect(text).toMatch(new RegExp(`message ${suspect} .* runs alone now`))
  const alone = logLines(text).filter(({ msg_id, msg }) => msg_id === suspect && /it said/.test(String(msg)))
  expect(alone.length).toBeGreaterThan(50)
  expect(text).toMatch(/\[redacted\]/)
  noneOf(secrets, text)

  // What is stored with the messages; the messages themselves are whoever sent them's.
  const dead = (await look.deadLetters(queue)).map(({ message }) => String(message.dead_letter.error))
  const tried = (await look.outcomes(queue)).map(({ error }) => error ?? '')
  const stored = [...dead, ...tried].join('\n')
  expect(stored.match(/\[redacted\]/g)?.length).toBeGreaterThan(50)
  noneOf(secrets, stored)
  expect(text).not.toContain(MARKER)
  expect(text).not.toContain(HEADER)
})

test('a worker of a program of its own stores none either: what its connection holds, and what it is told', async () => {
  const own = uniqueQueue()
  const connection = connectSupabase({ url: stack.url, key: stack.secretKey })
  const processor = defineProcessor({
    queue: own,
    payload: z.unknown(),
    maxAttempts: 2,
    backoff: { baseSeconds: 0.05, maxSeconds: 0.1 },
    process() {
      // The last of them lies across the end of what is stored.
      throw new Error(`${stack.secretKey} ${SMTP_PASS} `.repeat(400))
    },
  })
  for (const name of [own, `${own}_dlq`]) await sql`select pgmq.create(${name})`
  await sql`select pgmq.send(${own}, '{}'::jsonb)`
  const worker = createWorker({ connection, processors: [processor], logger: 'silent', secrets: [SMTP_PASS] })
  try {
    await worker.start()
    await until('it is a dead letter', async () => (await look.deadLetters(own)).length === 1)
    const [letter] = await look.deadLetters(own)
    const errors = [
      letter?.message.dead_letter.error,
      ...(await look.outcomes(own)).map(({ error }) => error),
    ]
    const stored = errors.filter((error) => typeof error === 'string')
    expect(stored.length).toBeGreaterThanOrEqual(2)
    for (const error of stored) {
      expect(error).toMatch(/\[redacted\]/)
      expect(error.length).toBeLessThanOrEqual(6000)
      noneOf([stack.secretKey, stack.secretKey.slice(0, 16), SMTP_PASS, SMTP_PASS.slice(0, 8)], error)
    }
  } finally {
    await worker.stop('the test is over', { hurry: true })
    await look.drop(own)
  }
})

test('a connection through a socket keeps its password to itself too', async () => {
  const url = `postgresql://u:${encodeURIComponent(SMTP_PASS)}@/db?host=/no/such/folder`
  const processor = defineProcessor({ queue: 'q', payload: z.unknown(), process() {} })
  const worker = createWorker({
    connection: connectPostgres({ url }),
    processors: [processor],
    logger: 'silent',
  })
  await worker.stop('it only had to be made')
})

/** A message that two workers took and never came back from; its id. */
async function sendSuspect(payload: Record<string, string>): Promise<string> {
  const [row] = await sql<
    { id: string }[]
  >`select pgmq.send(${queue}::text, ${sql.json(payload)}::jsonb) as id`
  const reader = createQueue(connectPostgres({ url: stack.databaseUrl }))
  for (let worker = 1; worker <= 2; worker += 1) {
    await reader.read([{ queue, limit: 1, visibilityTimeoutSeconds: 60 }], 1e6)
    await look.expire(queue)
  }
  await reader.close()
  return row?.id ?? ''
}

/** A folder for the processors of one run. */
async function fresh(): Promise<string> {
  const path = await folder()
  folders.push(path)
  return path
}
const folders: string[] = []
afterAll(async () => {
  for (const path of folders) await removeFolder(path)
})
