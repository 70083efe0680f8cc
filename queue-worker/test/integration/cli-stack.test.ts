import { readdir } from 'node:fs/promises'
import { createClient } from '@supabase/supabase-js'
import { createTransport } from 'nodemailer'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Cli, endAll, folder, removeFolder, run, start } from '../support/cli.ts'
import { nothingRunsIn, processesIn } from '../support/processes.ts'
import { until } from '../support/worker.ts'

let cwd = ''
let elsewhere = ''
beforeAll(async () => {
  cwd = await folder()
  elsewhere = await folder()
})
afterEach(endAll)
afterAll(async () => {
  await removeFolder(cwd)
  await removeFolder(elsewhere)
})

/** The lines `NAME=value` of the output. */
function printed(cli: Cli): Record<string, string> {
  return Object.fromEntries(
    [...cli.out().matchAll(/^([A-Z_]+)=(.+)$/gm)].map((match) => [match[1], match[2]]),
  )
}

test('the stack prints connection data that work, tells a second start about itself, and stops whole', async () => {
  const stack = start(['stack'], { cwd })
  await stack.says(/Press Ctrl-C/)
  expect(stack.err()).toMatch(/^Starting PostgreSQL .* \(the first time takes a few seconds\)\n/)
  const data = printed(stack)

  const { SUPABASE_URL = '', SUPABASE_SECRET_KEY = '', DATABASE_URL = '' } = data
  const supabase = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, { auth: { persistSession: false } })
  const status = await supabase.rpc('queue_worker_status', { request: { protocol: 1 } })
  expect(status.error).toBeNull()
  const publishable = /(sb_publishable_\S+)/.exec(stack.out())?.[1] ?? ''
  const stranger = createClient(SUPABASE_URL, publishable, { auth: { persistSession: false } })
  const refused = await stranger.rpc('queue_worker_status', { request: { protocol: 1 } })
  expect(refused.error?.code).toBe('42501')

  const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} })
  const [row] = await sql`select current_user as name, pgmq.create('from_sql') is not null as made`
  await sql.end()
  expect(row).toEqual({ name: 'postgres', made: true })

  const mailer = createTransport({
    host: data.SMTP_HOST ?? '',
    port: Number(data.SMTP_PORT),
    secure: data.SMTP_SECURE === 'true',
    auth: { user: data.SMTP_USER ?? '', pass: data.SMTP_PASS ?? '' },
  })
  await mailer.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 'Hi', text: 'Hello' })
  mailer.close()
  const mails = /lands as files in (\S+)/.exec(stack.out())?.[1] ?? ''
  expect(await readdir(mails)).toHaveLength(1)

  const second = await run(['stack'], { cwd })
  expect(second.code, second.text).toBe(0)
  expect(second.err).toBe('')
  expect(second.out).toMatch(/is running already, in another process/)
  expect(second.out).toContain(`DATABASE_URL=${DATABASE_URL}`)
  expect(stack.running()).toBe(true)

  const checked = await run(['check'], { cwd: elsewhere, env: data })
  expect([checked.code, checked.err], checked.text).toEqual([0, ''])
  expect(checked.out).toMatch(/^email_queue /m)

  // What only looks in or hands over joins the stack without being told where it is.
  const sent = await run(['send', 'from_sql', '{"n": 1}'], { cwd })
  expect([sent.code, sent.out, sent.err]).toEqual([0, 'sent: message 1 of from_sql\n', ''])
  for (const env of [{}, { QUEUE_TRANSPORT: 'embedded' }]) {
    const seen = await run(['queues'], { cwd, env })
    expect([seen.code, seen.err]).toEqual([0, ''])
    expect(seen.out).toMatch(/^from_sql +1 /m)
  }

  expect(processesIn(cwd).length).toBeGreaterThan(2)
  stack.signal('SIGTERM')
  expect(await stack.ended).toBe(0)
  await nothingRunsIn(cwd)

  const late = await run(['send', 'from_sql', '{"n": 2}'], { cwd })
  expect([late.code, late.out]).toEqual([3, ''])
  expect(late.err).toMatch(/^error: no connection is configured\n/)
  const told = await run(['queues'], { cwd, env: { QUEUE_TRANSPORT: 'embedded' } })
  expect(told.code).toBe(3)
  expect(told.err).toMatch(/the embedded stack of this folder does not run.*\n\nWhat to do: Start it/)
})

test('an owner that was killed leaves a stack that nobody joins', async () => {
  const killed = start(['stack'], { cwd: elsewhere })
  await killed.says(/Press Ctrl-C/)
  killed.signal('SIGKILL')
  await killed.ended
  const { code, err } = await run(['queues'], { cwd: elsewhere })
  expect([code, err]).toEqual([3, expect.stringMatching(/no connection is configured/)])
})

test('a signal while the stack starts is not forgotten', async () => {
  const stack = start(['stack'], { cwd })
  await until('a part of it runs', () => processesIn(cwd).length > 1)
  stack.signal('SIGINT')
  expect([0, 130]).toContain(await stack.ended)
  const again = start(['stack'], { cwd })
  await again.says(/Press Ctrl-C/)
  again.signal('SIGINT')
  expect(await again.ended).toBe(0)
  await nothingRunsIn(cwd)
})
