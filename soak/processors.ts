/** The processors that the workers run: every message says how it wants to behave. Imported by worker and child. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  defineProcessor,
  type ProcessorContext,
  RetryAfterError,
  snooze,
  UnrecoverableError,
} from '../queue-worker/src/library.ts'
import { type Note, openJournal } from './journal.ts'
import { type Kind, kinds, POISON_EXIT, QUEUES, servedQueues } from './kinds.ts'
import { readOrders } from './orders.ts'

const payload = z.object({
  n: z.number(),
  kind: z.enum(kinds),
  ms: z.number(),
  times: z.number(),
  delaySeconds: z.number(),
  filler: z.string().optional(),
})

type RunNote = 'start' | 'end' | 'effect' | 'early' | 'zombie_end'
type Told = z.infer<typeof payload>
type Act = (
  told: Told,
  context: ProcessorContext,
  note: (what: 'effect' | 'zombie_end') => void,
) => Promise<unknown>

const work: Act = ({ ms }, { signal }) => sleep(ms, undefined, { signal })

const step = (uncertain: 'hold' | 'repeat'): Act => {
  return async ({ n, ms }, { once, signal }, note) => {
    const effect = async () => {
      note('effect')
      await sleep(ms, undefined, { signal })
      return n
    }
    if ((await once('effect', effect, { uncertain })) !== n) throw new Error('once gave back something else')
    await sleep(ms, undefined, { signal })
  }
}

const transact: Act = ({ n, ms }, { transaction, originKey, signal }) =>
  transaction(async (sql) => {
    await sql`insert into soak.effects (n, origin_key) values (${n}, ${originKey})`
    await sleep(ms, undefined, { signal })
  })

const follow = ({ n }: Told, context: ProcessorContext) =>
  context.send(QUEUES.follow, { n, kind: 'follow', ms: 1, times: 0, delaySeconds: 0 })

const fail: Act = async (told, { attempt }) => {
  await sleep(told.ms)
  throw new Error(`message ${told.n} fails as it was told to (attempt ${attempt})`)
}

const acts: Partial<Record<Kind, Act>> = {
  fails: (told, context, note) =>
    context.attempt <= told.times ? fail(told, context, note) : work(told, context, note),
  fails_always: fail,
  async unrecoverable({ n }) {
    throw new UnrecoverableError(`message ${n} can never succeed, as it was told`)
  },
  async snoozes({ times }, { enqueuedAt }) {
    return Date.now() < enqueuedAt.getTime() + times * 1000 ? snooze(0.7) : undefined
  },
  async retry_after(_told, { attempt }) {
    if (attempt === 1) throw new RetryAfterError(1)
  },
  hold: step('hold'),
  repeat: step('repeat'),
  transaction: transact,
  async transaction_sends(told, context, note) {
    follow(told, context)
    await transact(told, context, note)
  },
  async sends(told, context, note) {
    follow(told, context)
    await work(told, context, note)
  },
  async large({ n, times, filler }) {
    if (filler?.length !== times) throw new UnrecoverableError(`message ${n} has lost a part`)
  },
  async zombie({ ms }, { attempt }, note) {
    if (attempt > 1) return
    await sleep(ms)
    note('zombie_end')
  },
  async poison() {
    process.exit(POISON_EXIT)
  },
}

export default () => {
  const { journal: path, life, connection } = readOrders()
  const journal = openJournal(path, life)
  return servedQueues(connection.kind).map((settings) =>
    defineProcessor({
      ...settings,
      payload,
      async process(told, context) {
        const { queue, messageId: msgId, attempt, originKey: key, enqueuedAt } = context
        const { n, kind } = told
        const note = (what: RunNote) =>
          journal.note({ what, n, kind, queue, msgId, attempt, key, pid: process.pid } as Note)
        note('start')
        // Clocks of the same machine; a delay is given in seconds, and PostgreSQL rounds nothing away.
        if (Date.now() < enqueuedAt.getTime() + told.delaySeconds * 1000 - 5) note('early')
        const result = await (acts[kind] ?? work)(told, context, note)
        const isSnoozed = typeof result === 'object' && result !== null && 'snoozeSeconds' in result
        if (isSnoozed) return snooze(Number(result.snoozeSeconds))
        note('end')
      },
    }),
  )
}
