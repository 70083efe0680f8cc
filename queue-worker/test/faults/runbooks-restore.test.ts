/**
 * docs/runbooks.md, 1: a real server is put back to a cold copy of its data folder while mails and charges, which are
 * kept outside of it, stay as they are. The SQL is that of the document.
 */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor, RetryAfterError, UnrecoverableError } from '../../src/library.ts'
import { emailProcessor } from '../../src/processors/email.ts'
import { createMailer } from '../../src/services/email.ts'
import { createTemplates } from '../../src/services/templates.ts'
import { projectRoot } from '../support/cli.ts'
import { createInspector } from '../support/queues.ts'
import { createRunbook, EXAMPLE_TIME } from '../support/runbook.ts'
import { runbookBench } from '../support/runbook-bench.ts'
import { startSmtp } from '../support/smtp.ts'
import { until } from '../support/worker.ts'

const bench = runbookBench()
const copyFolder = (from: string, to: string) => promisify(execFile)('cp', ['-a', from, to])
const HOUR = 3600
const smtp = await startSmtp()
const book = createRunbook('restore')

afterAll(() => smtp.stop())

/** What the payment provider knows: every call, and each key charged once. */
const calls: { n: number; key: string }[] = []
const callsOf = (n: number) => calls.filter((call) => call.n === n).map(({ key }) => key)
const chargesOf = (n: number) => new Set(callsOf(n)).size
/** Numbers of payments that cannot be done for now: at all, after the charge, or are declined. */
const stuck = new Set([4, 5])
const declined = new Set([6])

async function startWorkers(): Promise<void> {
  const payments = defineProcessor({
    queue: 'payments',
    payload: z.object({ n: z.number() }),
    async process({ n }, { once, originKey }) {
      if (declined.has(n)) throw new UnrecoverableError('the card was declined')
      if (n === 5 && stuck.has(n)) throw new RetryAfterError(HOUR)
      await once('charge', () => void calls.push({ n, key: originKey }), { uncertain: 'repeat' })
      if (stuck.has(n)) throw new RetryAfterError(HOUR)
    },
  })
  await bench.startWorkers(() => {
    const mailer = createMailer({ host: '127.0.0.1', port: smtp.port, from: 'app@from.example' })
    const templates = createTemplates(join(projectRoot, 'templates'))
    return [
      payments,
      emailProcessor({ mailer, templates, whenUncertain: 'resend', maxAttachmentBytes: 1000 }),
    ]
  })
}

const mailIds = () => smtp.received.map(({ mail }) => mail.messageId ?? '')
const mailKey = (id: string) => id.replace(/^<|@.*$/g, '')
const mail = (to: string) => ({ to: `${to}@to.example`, subject: to, text: 'Hello' })
const numbers = (rows: readonly { message: unknown }[]) =>
  rows.map(({ message }) => (message as { n: number }).n).toSorted((a, b) => a - b)

test('a database put back to an earlier time does again only what no list knew, with the same keys', async () => {
  let sql = bench.login()
  let look = createInspector(sql)
  const send = async (queue: string, message: object, keys: object = {}) => {
    const request = { protocol: 1, sends: [{ queue, message, ...keys }] }
    const [row] = await sql`select queue_worker_send(${sql.json(request as never)}::jsonb) as sent`
    return row?.sent[0].msg_id as string
  }
  const archived = async (queue: string) => (await look.archived(queue)).length

  // Until the backup: 1 is done, 6 is a dead letter; 2 to 5 and two mails wait.
  await startWorkers()
  await send('payments', { n: 1 })
  await send('payments', { n: 6 })
  await until('6 is dead', async () => (await look.deadLetters('payments')).length === 1)
  await until('1 is done', async () => (await archived('payments')) === 1)
  await bench.stopWorkers()
  for (const n of [2, 3, 4, 5]) await send('payments', { n })
  for (const to of ['known', 'missed']) await send('email_queue', mail(to))
  const [now] = await sql`select clock_timestamp()::text as at, current_setting('data_directory') as folder`
  const { at: backupAt, folder } = now as unknown as { at: string; folder: string }
  await sql.end()
  const backup = `${folder}-backup`
  await bench.parts.stopPostgres('fast')
  await copyFolder(folder, backup)
  await bench.parts.startPostgres()

  // After it: all is done but 5, of which nothing was, and 4, which was charged and no more. 7 and 8 are new.
  sql = bench.login()
  look = createInspector(sql)
  await startWorkers()
  declined.clear()
  await sql`select queue_worker_redrive('{"protocol": 1, "queue": "payments"}')`
  const sevenBefore = await send('payments', { n: 7 }, { idempotency_key: 'order-7' })
  await send('payments', { n: 8 }, { idempotency_key: 'order-8', origin_key: 'order-8' })
  await until('five more are done', async () => (await archived('payments')) === 6)
  await until('the mails are sent', async () => (await archived('email_queue')) === 2)
  await until(
    '4 and 5 wait',
    async () => (await look.outcomes('payments')).filter(({ outcome }) => outcome === 'retry').length === 2,
  )
  expect(calls.map(({ n }) => n).toSorted()).toEqual([1, 2, 3, 4, 6, 7, 8])

  // The runbook: workers stopped, and what the old database knows is kept.
  expect(await book.run(sql, 'workers')).toHaveLength(2)
  await bench.stopWorkers()
  expect(await book.run(sql, 'workers')).toEqual([])
  const since = { [EXAMPLE_TIME]: backupAt }
  const kept = await book.run(sql, 'keep-messages', { ...since, email_queue: 'payments' })
  const doneKeys = kept.map(({ origin_key }) => origin_key as string)
  expect(doneKeys.toSorted()).toEqual([2, 3, 6, 7, 8].flatMap(callsOf).toSorted())
  const steps = await book.run(sql, 'keep-steps', since)
  expect(steps.filter(({ step }) => step === 'charge').map(({ origin_key }) => origin_key)).toContain(
    callsOf(4)[0],
  )
  await sql.end()

  await bench.parts.stopPostgres('fast')
  await rm(folder, { recursive: true })
  await copyFolder(backup, folder)
  await bench.parts.startPostgres()
  sql = bench.login()
  look = createInspector(sql)
  expect(await book.run(sql, 'were-paused')).toEqual([])
  expect((await book.run(sql, 'pause')).map(({ queue }) => queue).toSorted()).toEqual([
    'email_queue',
    'payments',
  ])
  const before = { calls: calls.length, mails: smtp.received.length }
  stuck.clear()
  await startWorkers()
  await until('both workers know that both queues are paused', () => bench.allPaused(2))

  // Payments: 3 is missing in the list that somebody made; 4 is done as far as its charge.
  const payments = { email_queue: 'payments' }
  await book.run(sql, 'came-back', payments)
  const cameBack = await sql`select message, origin_key, dead_msg_id from runbook.came_back`
  expect(numbers(cameBack as never)).toEqual([2, 3, 4, 5, 6])
  for (const { message, origin_key } of cameBack)
    if (message.n !== 5) expect(callsOf(message.n)).toEqual([origin_key])
  const list = doneKeys.filter((key) => key !== callsOf(3)[0])
  const example = "'6d0c1f0e5a7b4c3d9e8f7a6b5c4d3e2f'), ('0a1b2c3d4e5f60718293a4b5c6d7e8f9'"
  await book.run(sql, 'done', { [example]: list.map((key) => `'${key}'`).join('), (') })
  expect(await book.run(sql, 'archive', payments)).toHaveLength(1)
  const [discarded] = await book.run(sql, 'discard', payments)
  expect(discarded?.queue_worker_discard_dead_letters).toMatchObject({ discarded: 1 })
  await book.run(sql, 'step', { '6d0c1f0e5a7b4c3d9e8f7a6b5c4d3e2f': callsOf(4)[0] ?? '' })
  expect(numbers((await book.run(sql, 'left', payments)) as never)).toEqual([3, 4, 5])
  expect(await book.run(sql, 'check', payments)).toEqual([])
  await sql`drop table runbook.came_back, runbook.done`

  // Mails: by the mail server's log, in which one was overlooked.
  const log = mailIds().map(mailKey)
  await book.run(sql, 'came-back')
  const mails = await sql`select origin_key from runbook.came_back`
  expect(mails.map(({ origin_key }) => origin_key).toSorted()).toEqual(log.toSorted())
  const known = smtp.received.find(({ to }) => to[0] === 'known@to.example')?.mail.messageId ?? ''
  await book.run(sql, 'done', { [example]: `'${mailKey(known)}'` })
  expect(await book.run(sql, 'archive')).toHaveLength(1)
  await book.run(sql, 'discard')
  expect(await book.run(sql, 'check')).toEqual([])
  expect({ calls: calls.length, mails: smtp.received.length }, 'nothing ran while paused').toEqual(before)

  // Resumed; the producers of 7 and 8 repeat their sends.
  await book.run(sql, 'resume', payments)
  await book.run(sql, 'resume')
  const sevenAgain = await send('payments', { n: 7 }, { idempotency_key: 'order-7' })
  await send('payments', { n: 8 }, { idempotency_key: 'order-8', origin_key: 'order-8' })
  await until('all payments are done', async () => (await archived('payments')) === 7)
  await until('all mails are done', async () => (await archived('email_queue')) === 2)
  expect(numbers(await look.archived('payments'))).toEqual([1, 2, 3, 4, 5, 7, 8])
  for (const queue of ['payments', 'email_queue']) {
    expect(await look.messages(queue)).toEqual([])
    expect(await look.deadLetters(queue)).toEqual([])
  }
  await book.run(sql, 'clean')
  await sql.end()
  await rm(backup, { recursive: true })

  // Done once: what a list or the ledger knew. Asked for again under the same key: what none knew.
  for (const n of [1, 2, 4, 5, 6]) expect(callsOf(n), `${n}`).toHaveLength(1)
  for (const n of [3, 8]) expect([callsOf(n).length, chargesOf(n)], `${n}`).toEqual([2, 1])
  // Doubled, as the document says: its key was computed of a message that the restore has forgotten.
  expect([callsOf(7).length, chargesOf(7)]).toEqual([2, 2])
  // Ids are given again: 7 was the redriven message of the time that is forgotten.
  expect([sevenBefore, sevenAgain]).toEqual(['8', '7'])
  const [overlooked] = mailIds().filter((id) => id !== known)
  expect(mailIds().toSorted()).toEqual([known, overlooked, overlooked].toSorted())
  expect(book.unused(), 'steps of the runbook that were not run').toEqual([])
})
