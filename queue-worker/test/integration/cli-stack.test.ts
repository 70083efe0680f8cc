import { readdir } from 'node:fs/promises'
import { createClient } from '@supabase/supabase-js'
import { createTransport } from 'nodemailer'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Cli, endAll, folder, removeFolder, run, start } from '../support/cli.ts'
import { processesIn } from '../support/processes.ts'
import { until } from '../support/worker.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

/** The lines `NAME=value` of the output. */
function printed(cli: Cli): Record<string, string> {
  return Object.fromEntries(
    [...cli.out().matchAll(/^([A-Z_]+)=(.+)$/gm)].map((match) => [match[1], match[2]]),
  )
}

test('the stack prints connection data that work, tells a second start about itself, and stops whole', async () => {
  const stack = start(['stack'], { cwd })
  await stack.says(/Press Ctrl-C/)
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
  expect(second.out).toMatch(/is running already, in another process/)
  expect(second.out).toContain(`DATABASE_URL=${DATABASE_URL}`)
  expect(stack.running()).toBe(true)

  expect(processesIn(cwd).length).toBeGreaterThan(2)
  stack.signal('SIGTERM')
  expect(await stack.ended).toBe(0)
  expect(processesIn(cwd)).toEqual([])
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
  expect(processesIn(cwd)).toEqual([])
})
