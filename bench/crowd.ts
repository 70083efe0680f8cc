/** Several workers in processes of their own, as they are deployed: what they carry together. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor } from '../queue-worker/src/library.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { connect } from '../queue-worker/src/services/connect.ts'

export type Crowd = {
  readonly connection: ConnectionSettings
  /** One for each worker; the same one again for workers that share it. */
  readonly queues: readonly string[]
  /** How many to run, all together. */
  readonly messages: number
  readonly concurrency?: number
  /** How long each takes. */
  readonly runMs?: number
}

type Order = Omit<Crowd, 'queues' | 'messages'> & { readonly queue: string }
type Told = 'here' | number

/** Messages per second, from when all processes are there to the last recorded outcome; their start and its connections count. */
export async function crowd({ queues, messages, ...rest }: Crowd): Promise<number> {
  const children = queues.map((queue) => ({ child: fork(new URL(import.meta.url)), queue }))
  await Promise.all(children.map(({ child }) => once(child, 'message')))
  const done = settledBy(
    children.map(({ child }) => child),
    messages,
  )
  const startedMs = performance.now()
  for (const { child, queue } of children) child.send({ ...rest, queue } satisfies Order)
  await done
  const seconds = (performance.now() - startedMs) / 1000
  await Promise.all(
    children.map(({ child }) => {
      const gone = once(child, 'exit')
      child.disconnect()
      return gone
    }),
  )
  return messages / seconds
}

function settledBy(children: readonly ChildProcess[], messages: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let settled = 0
  for (const child of children) {
    child.on('message', (more: Told) => {
      if (more === 'here') return
      settled += more
      if (settled >= messages) resolve()
    })
    child.on('exit', () => reject(new Error('a worker ended before all was done')))
  }
  return promise
}

/** Often enough to know when all is done, rarely enough to cost nothing. */
const TELL_MS = 20

async function work({ connection, queue, concurrency, runMs }: Order): Promise<void> {
  let settled = 0
  const worker = createWorker({
    connection: connect(connection),
    processors: [
      defineProcessor({
        queue,
        payload: z.object({ n: z.number(), text: z.string() }),
        process: () => (runMs === undefined ? undefined : sleep(runMs)),
      }),
    ],
    queueDefaults: { ...(concurrency ? { concurrency } : {}) },
    logger: 'silent',
    listeners: [
      {
        settled({ status }) {
          if (status === 'ok') settled += 1
        },
      },
    ],
  })
  const telling = setInterval(() => {
    if (settled === 0) return
    process.send?.(settled)
    settled = 0
  }, TELL_MS)
  process.once('disconnect', () => {
    clearInterval(telling)
    void worker.stop('measured')
  })
  await worker.start()
  await worker.done
}

if (process.send) {
  process.once('message', (order: Order) => void work(order))
  process.send('here' satisfies Told)
}
