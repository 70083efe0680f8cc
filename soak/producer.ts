/** Sends the planned messages at their times and does not rest until each is surely sent, as a careful program would. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql, TransactionSql } from 'postgres'
import type { Producer } from '../queue-worker/src/library.ts'
import type { Journal } from './journal.ts'
import { KINDS, QUEUES } from './kinds.ts'
import type { PlannedMessage } from './plan.ts'

export type ProducerParts = {
  readonly messages: readonly PlannedMessage[]
  /** As an application, past the proxies: it has its own connection. */
  readonly sql: Sql
  /** The TypeScript producer by transport, through their proxies. */
  readonly producers: Readonly<Record<string, Producer>>
  readonly journal: Journal
}

export type Sending = {
  /** Surely sent so far. */
  readonly sent: number
  /** Waits until all are, but no longer than this, and sends no more; whether they are. */
  done(limitMs: number): Promise<boolean>
}

const AGAIN_MS = 300
const UNIQUE_VIOLATION = '23505'

export function startSending(parts: ProducerParts): Sending {
  const { messages, sql, producers, journal } = parts
  let sent = 0
  const stop = new AbortController()
  const startedMs = performance.now()

  async function all(): Promise<void> {
    const underWay = new Set<Promise<void>>()
    for (const message of messages) {
      const waitMs = message.atMs - (performance.now() - startedMs)
      if (waitMs > 2) await sleep(waitMs, undefined, { signal: stop.signal })
      const sending = untilSent(message).finally(() => underWay.delete(sending))
      underWay.add(sending)
    }
    await Promise.all(underWay)
  }

  async function untilSent(message: PlannedMessage): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        if (await send(message)) sent += 1
        return
      } catch {
        await sleep(AGAIN_MS)
      }
    }
  }

  /** Whether it is now in the queue. */
  async function send(message: PlannedMessage): Promise<boolean> {
    if (message.via === 'sql') return inTransaction(message)
    if (message.via === 'rolled_back') return rollBack(message)
    const first = await byProducer(message)
    const second = message.twice ? await byProducer(message) : first
    if (first !== second) {
      journal.note({ what: 'wrong', text: `message ${message.n}: one key, two ids, ${first} and ${second}` })
    }
    journal.note({ what: 'sent', n: message.n, sentAs: first })
    return true
  }

  async function byProducer({ n, via, payload, kind }: PlannedMessage): Promise<string> {
    const { delaySeconds } = payload
    const options = { idempotencyKey: `soak-${n}`, ...(delaySeconds > 0 ? { delaySeconds } : {}) }
    const producer = producers[via]
    if (producer === undefined) throw new Error(`there is no producer over ${via}`)
    return (await producer.send(QUEUES[KINDS[kind].queue], fill(payload), options)).msgId
  }

  /** The order and its message exist together or not at all. Told that the order is there already, both are. */
  async function inTransaction(message: PlannedMessage): Promise<boolean> {
    try {
      await sql.begin((tx) => insert(tx, message))
    } catch (error) {
      if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error
    }
    // Not only the row of the order says so: it would vanish with the message.
    journal.note({ what: 'sent', n: message.n, sentAs: 'order' })
    return true
  }

  async function rollBack(message: PlannedMessage): Promise<boolean> {
    const wanted = new Error('rolled back on purpose')
    // Whatever else ends the transaction rolls it back as well.
    const ended = sql.begin(async (tx) => {
      await insert(tx, message)
      throw wanted
    })
    await ended.catch(() => {})
    return false
  }

  async function insert(tx: TransactionSql, { n, kind, payload }: PlannedMessage): Promise<void> {
    await tx`insert into soak.orders (n) values (${n})`
    await tx`select pgmq.send(${QUEUES[KINDS[kind].queue]}::text, ${tx.json(fill(payload) as never)}::jsonb,
      ${payload.delaySeconds}::int)`
  }

  const finished = all()
  finished.catch(() => {})
  return {
    get sent() {
      return sent
    },
    async done(limitMs) {
      const limit = sleep(limitMs, false, { signal: stop.signal }).catch(() => false)
      const isDone = await Promise.race([finished.then(() => true), limit])
      stop.abort()
      return isDone
    },
  }
}

/** A large message gets its bulk only when it is sent. */
function fill(payload: PlannedMessage['payload']): PlannedMessage['payload'] {
  return payload.kind === 'large' ? { ...payload, filler: 'x'.repeat(payload.times) } : payload
}
