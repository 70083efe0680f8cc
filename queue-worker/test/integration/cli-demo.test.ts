import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { endAll, folder, freePort, removeFolder, run, start } from '../support/cli.ts'
import { processesIn } from '../support/processes.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

const OUTCOMES = [
  ['a welcome mail from a template', 'sent, archived'],
  ['an invoice with an attachment', 'sent, archived'],
  ['a mail to a mailbox that refuses it for good', 'dead letter: unrecoverable'],
  ['a mail that fails once and then succeeds', 'sent, archived'],
  ['a message with an invalid payload', 'dead letter: invalid_payload'],
] as const

type Result = {
  message: string
  happened: string
  attempts: number
  mail: string | null
  error: string | null
  query: string | null
}

test('the demo shows what became of each message, and where to look', async () => {
  const { code, out, err } = await run(['demo'], { cwd })
  expect(code, err).toBe(0)
  for (const [message, happened] of OUTCOMES) {
    expect(out).toMatch(new RegExp(`^ *\\d+ +${message} +${happened} +\\d`, 'm'))
  }
  expect(out).toMatch(/fails once and then succeeds +sent, archived +2 /)
  expect(out).toMatch(/message 3: .*550.*No such mailbox/)
  expect(out).toMatch(/message 5: .*"not an address" is not an e-mail address/)
  const mails = [...out.matchAll(/: (\.queue-worker\/mail\/\S+\.eml)/g)].map((match) => match[1] ?? '')
  expect(mails).toHaveLength(3)
  expect(await readFile(join(cwd, mails[0] ?? ''), 'utf8')).toMatch(/Hello Ada,/)
  expect(processesIn(cwd)).toEqual([])
})

test('a second run works on the same data, and tells it as JSON', async () => {
  const { code, out, err } = await run(['demo', '--json'], { cwd })
  expect(code, err).toBe(0)
  const results: Result[] = JSON.parse(out)
  expect(results.map(({ message, happened }) => [message, happened])).toEqual(OUTCOMES)
  expect(results.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 2, 1])
  for (const { mail, error, query } of results) {
    if (mail === null) expect([error, query]).toEqual([expect.any(String), expect.stringMatching(/^select/)])
    else expect(existsSync(join(cwd, mail))).toBe(true)
  }
})

test('what configures a real project does not reach the demo', async () => {
  const elsewhere = {
    SUPABASE_URL: 'http://127.0.0.1:9',
    SUPABASE_SECRET_KEY: 'sb_secret_of_a_real_project',
    DATABASE_URL: 'postgresql://postgres:secret@127.0.0.1:9/postgres',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: '9',
    QUEUES: 'something_else',
    NODE_ENV: 'production',
  }
  const { code, out, err } = await run(['demo', '--json'], { cwd, env: elsewhere })
  expect(code, err).toBe(0)
  expect(JSON.parse(out).map((one: Result) => one.happened)).toEqual(OUTCOMES.map(([, end]) => end))
})

test('Ctrl-C ends the demo and everything it started', async () => {
  const demo = start(['demo'], { cwd })
  await demo.says(/Sending 5 messages/)
  demo.signal('SIGINT')
  expect(await demo.ended).toBe(1)
  expect(demo.err()).toMatch(/Interrupted\. What is not finished stays in the queue/)
  expect(processesIn(cwd)).toEqual([])
})

test.each(['stack', 'dev'])('the demo also works while %s runs in the same folder', async (command) => {
  const other = start([command], { cwd, env: { PORT: String(await freePort()) } })
  await other.says(command === 'dev' ? /reads email_queue/ : /Press Ctrl-C/)
  const { code, out, err } = await run(['demo', '--json'], { cwd })
  expect(code, err).toBe(0)
  expect(err).toMatch(/runs already, in another process.*demo_email_queue/s)
  expect(JSON.parse(out).map((one: Result) => one.happened)).toEqual(OUTCOMES.map(([, end]) => end))
  expect(other.running()).toBe(true)
  other.signal('SIGTERM')
  expect(await other.ended).toBe(0)
})
