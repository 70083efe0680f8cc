/** One transport to one stack for the conformance suites: what they work with and what they look with. */
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, describe, inject, test, vi } from 'vitest'
import type { Outcome, Queue, Settlement, Transport } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'
import { createQueue } from '../../src/queue/queue.ts'
import type { SharedStack } from './global-stack.ts'
import { createInspector, type Inspector, uniqueQueue } from './queues.ts'
import { openTransport } from './transports.ts'

export type Bench = {
  readonly kind: Transport['kind']
  readonly queue: Queue
  readonly transport: Transport
  readonly stack: SharedStack
  /** As superuser: to look, and to do what no worker may do. */
  readonly sql: Sql
  readonly look: Inspector
  /** Makes a queue with its dead-letter queue and messages in it (payloads `{n: 1}` … if a number is given). */
  newQueue(messages?: number | readonly unknown[]): Promise<string>
  /** Reads with generous limits. */
  read(queue: string, options?: { limit?: number; vt?: number; bytes?: number }): Promise<readonly Message[]>
  /** Reads exactly one. */
  readOne(queue: string): Promise<Message>
}

/** What `describe` and `test` bodies get before anything is connected: the bench is there once tests run. */
export type BenchSource = (() => Bench) & {
  /** A test in which two transactions meet. There is none where the database has one session: the second would wait for ever. */
  readonly testMeeting: (title: string, body: () => Promise<void>) => void
}

export type Suite = (bench: BenchSource) => void

/** Runs a suite over both transports against the run's shared stack. */
export function conformance(title: string, suite: Suite): void {
  conformanceOn(title, () => inject('stack'), suite)
}

export function conformanceOn(
  title: string,
  stack: () => SharedStack,
  suite: Suite,
  kinds: readonly Transport['kind'][] = ['rpc', 'postgres'],
  hasOneSession = false,
): void {
  describe.each(kinds)(`${title}, over %s`, (kind) => {
    let bench: Bench | undefined
    let close = async () => {}
    beforeAll(async () => {
      const opened = await openBench(stack(), kind)
      bench = opened.bench
      close = opened.close
    })
    afterAll(() => close())
    const source = () => {
      if (bench === undefined) throw new Error('the bench is there only inside tests')
      return bench
    }
    suite(Object.assign(source, { testMeeting: hasOneSession ? () => {} : test }))
  })
}

async function openBench(stack: SharedStack, kind: Transport['kind']) {
  const sql = postgres(stack.adminUrl, { max: 4, onnotice: () => {} })
  const transport = openTransport(kind, stack)
  const queue = createQueue(transport)
  // PostgREST notices a migration a moment after it was committed.
  await vi.waitUntil(() => queue.status().catch(() => null), { timeout: 60_000 })
  const look = createInspector(sql)
  const made: string[] = []
  const read: Bench['read'] = async (name, { limit = 100, vt = 60, bytes = 64e6 } = {}) => {
    const demand = { queue: name, limit, visibilityTimeoutSeconds: vt }
    return (await queue.read([demand], bytes)).messages
  }
  const bench: Bench = {
    kind,
    queue,
    transport,
    stack,
    sql,
    look,
    read,
    async newQueue(messages = []) {
      const name = uniqueQueue()
      made.push(name)
      await queue.ensureQueue(name, { notify: false })
      const payloads =
        typeof messages === 'number' ? Array.from({ length: messages }, (_, i) => ({ n: i + 1 })) : messages
      if (payloads.length > 0) await queue.send(payloads.map((message) => ({ queue: name, message })))
      return name
    },
    async readOne(name) {
      const [message, ...others] = await read(name)
      if (message === undefined || others.length > 0) throw new Error(`not exactly one message in ${name}`)
      return message
    },
  }
  const close = async () => {
    for (const name of made) await look.drop(name)
    await queue.close()
    await sql.end()
  }
  return { bench, close }
}

/** One outcome of each kind, as a worker would send them. */
export const outcomes: Record<Outcome['kind'], Outcome> = {
  archive: { kind: 'archive' },
  delete: { kind: 'delete' },
  retry: { kind: 'retry', delayMs: 60_000, error: 'it failed' },
  dead: { kind: 'dead', reason: 'unrecoverable', error: 'it can never work', attempts: 1 },
  release: { kind: 'release' },
  snooze: { kind: 'snooze', delayMs: 60_000 },
}

export const outcomeKinds = Object.keys(outcomes) as Outcome['kind'][]

export function settling(receipt: Message, outcome: Outcome | Outcome['kind']): Settlement {
  return { receipt, outcome: typeof outcome === 'string' ? outcomes[outcome] : outcome }
}
