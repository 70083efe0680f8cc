/** What tests of payments need: a queue of their own, messages sent, rows looked at. */
import postgres from 'postgres'
import { inject } from 'vitest'
import type { ConsumerSettings } from '../../src/engine/settings.ts'
import type { Processor, Transport } from '../../src/library.ts'
import { type PaymentsProcessorOptions, paymentsProcessor } from '../../src/processors/payments.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createInspector, uniqueQueue } from './queues.ts'
import { openTransport } from './transports.ts'
import { testWorker, until } from './worker.ts'

export type PaymentsBench = Awaited<ReturnType<typeof openPayments>>

/** Nothing works yet; `work` starts a worker, and its processor is made with what is given. */
export async function openPayments(kind: Transport['kind']) {
  const stack = inject('stack')
  const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
  const transport = openTransport(kind, stack)
  const queue = uniqueQueue('pay')
  const next = `${queue}_next`
  const typed = createQueue(transport)
  await typed.ensureQueue(queue, { notify: kind === 'postgres' })
  await typed.ensureQueue(next, { notify: false })
  const look = createInspector(sql)

  return {
    sql,
    look,
    typed,
    queue,
    next,
    transport,
    /** A worker for the duration of `run`. */
    async work(
      options: Omit<PaymentsProcessorOptions, 'database' | 'queue'> &
        Partial<Pick<PaymentsProcessorOptions, 'database'>>,
      run: () => Promise<void>,
      settings: Partial<ConsumerSettings> = {},
    ): Promise<void> {
      const processor = paymentsProcessor({ database: transport.call, ...options, queue }) as Processor
      const quick = { ...processor, backoff: { baseSeconds: 0.05, maxSeconds: 0.2 }, ...settings }
      const worker = testWorker(kind, [quick], { connection: openTransport(kind, stack) })
      await worker.start()
      await run().finally(() => worker.stop('the test is over'))
    },
    async send(...messages: readonly object[]): Promise<void> {
      for (const message of messages)
        await sql`select pgmq.send(${queue}::text, ${sql.json(message as never)}::jsonb)`
    },
    /** Waits until all messages have come to their end, good or bad. */
    done: () => until('the queue is empty', async () => (await look.messages(queue)).length === 0, 60_000),
    async payment(id: string): Promise<Record<string, unknown>> {
      const [row] = await sql`select * from public.payments where id = ${id}`
      return row ?? {}
    },
    events: (id: string) =>
      sql`select type, outcome, status_before, status_after from public.payment_events where payment_id = ${id} order by recorded_at`,
    /** Errors of the dead letters. */
    dead: async () => (await look.deadLetters(queue)).map(({ message }) => `${message.dead_letter.error}`),
    told: async () => (await look.messages(next)).map(({ message }) => message as Record<string, unknown>),
    async close(): Promise<void> {
      await look.drop(queue)
      await look.drop(next)
      await transport.close()
      await sql.end()
    },
  }
}
