/** One worker over one transport with a queue of its own, of which everything is known that a test asks for. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { z } from 'zod'
import { defineProcessor, type Transport, type WorkerSettings } from '../../src/library.ts'
import { uniqueQueue } from './queues.ts'
import type { TestStack } from './stack.ts'
import { openTransport } from './transports.ts'
import { type TestWorker, testWorker, until } from './worker.ts'

export type Side = {
  readonly kind: Transport['kind']
  readonly queue: string
  readonly worker: TestWorker
  /** How often the processor ran for each message, by its number. */
  readonly runs: ReadonlyMap<number, number>
  /** Numbers of the attempts that the runs were told. */
  readonly attempts: ReadonlySet<number>
  /** Lets messages that hold end, now or when they run. */
  open(...numbers: number[]): void
  /** Lets them fail, once. */
  fail(...numbers: number[]): void
  /** The classes of failure that were told, in order. */
  lost(): string[]
  /** The failures themselves. */
  failures(): { kind: string; message: string; remedy: string; transient: boolean }[]
  /** How often an outage ended. */
  back(): number
}

export type SideOptions = {
  readonly settings?: Partial<WorkerSettings>
  /** For one of the two. */
  readonly only?: Partial<Record<Transport['kind'], Partial<WorkerSettings>>>
  readonly visibilityTimeoutSeconds?: number
  readonly connect?: (kind: Transport['kind'], stack: TestStack) => Transport
}

export type Message = { readonly n: number; readonly hold?: boolean }
export const messages = (from: number, to: number, hold = false): Message[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ n: from + i, hold }))

/** Short, so that a fault need not last long to show. */
export const TOLERATED_MS = 2000
/** The same, and longer than a busy machine's pauses: what is at work must not lose its lease by them. */
const LEASE_SECONDS = 5
/** For one that is to see nothing of a fault: longer than any pause of a busy machine. */
export const UNMOVED = { toleratedOutageMs: 20_000 }
const QUICK_MS = 10

/** Made, not started. */
export function createSide(kind: Transport['kind'], options: SideOptions, stack: TestStack): Side {
  const queue = uniqueQueue('f')
  const runs = new Map<number, number>()
  const attempts = new Set<number>()
  const gates = new Map<number, PromiseWithResolvers<void>>()
  const gate = (n: number) => {
    const one = gates.get(n) ?? Promise.withResolvers<void>()
    gates.set(n, one)
    return one
  }
  const processor = defineProcessor({
    queue,
    payload: z.object({ n: z.number(), hold: z.boolean().default(false) }),
    visibilityTimeoutSeconds: options.visibilityTimeoutSeconds ?? LEASE_SECONDS,
    async process({ n, hold }, { attempt, signal }) {
      runs.set(n, (runs.get(n) ?? 0) + 1)
      attempts.add(attempt)
      if (!hold) return void (await sleep(QUICK_MS))
      const aborted = new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      )
      await Promise.race([gate(n).promise, aborted])
    },
  })
  const worker = testWorker(kind, [processor], {
    connection: options.connect?.(kind, stack) ?? openTransport(kind, stack),
    settings: { toleratedOutageMs: TOLERATED_MS, ...options.settings, ...options.only?.[kind] },
  })
  const failures = () => worker.events.flatMap((e) => (e.name === 'connectionLost' ? [e.failure] : []))
  return {
    kind,
    queue,
    worker,
    runs,
    attempts,
    fail(...numbers) {
      for (const n of numbers) {
        const failed = gate(n)
        gates.delete(n)
        failed.reject(new Error('a test let it fail'))
      }
    },
    open: (...numbers) => {
      for (const n of numbers) gate(n).resolve()
    },
    failures,
    lost: () => failures().map((failure) => failure.kind),
    back: () => worker.events.filter((event) => event.name === 'connectionBack').length,
  }
}

/** Waits for the same on each side; what fails is told with the worker's health. */
export async function each(what: string, of: readonly Side[], holds: (side: Side) => boolean): Promise<void> {
  await Promise.all(
    of.map((side) =>
      until(`${side.kind}: ${what}`, () => holds(side)).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(side.worker.health())}, told ${side.lost()}`)
      }),
    ),
  )
}

export const settledCount = ({ worker }: Side) =>
  worker.events.filter((event) => event.name === 'settled').length
export const isRed = ({ worker }: Side) => !worker.health().ready
export const isGreen = ({ worker }: Side) => worker.health().ready && worker.health().downMs === 0

/** Whether it has lost its hold on all of these messages. */
export function hasLostLeases({ worker }: Side, ...numbers: number[]): boolean {
  const lost = worker.events.flatMap((event) => (event.name === 'leaseLost' ? [event.message] : []))
  return numbers.every((n) => lost.some((one) => 'payload' in one && (one.payload as Message).n === n))
}

/**
 * Once all are well again: in each outage each failure was told once, by its class and remedy, no class but these, and its end once. There
 * may have been several, as a slow machine has outages of its own.
 */
export async function tellEachOutageOnce(sides: readonly Side[], kinds?: readonly string[]): Promise<void> {
  await until('all are ready again', () => sides.every(isGreen))
  for (const side of sides) tellsEachOutageOnce(side, kinds)
}

function tellsEachOutageOnce({ worker, kind }: Side, kinds?: readonly string[]): void {
  const told = new Set<string>()
  let ends = 0
  for (const event of worker.events) {
    if (event.name === 'connectionLost') {
      const news = `${event.failure.kind}: ${event.failure.remedy}`
      expect(told, `${kind} tells the same twice in an outage`).not.toContain(news)
      if (kinds !== undefined) expect(kinds, kind).toContain(event.failure.kind)
      told.add(news)
    }
    if (event.name !== 'connectionBack') continue
    expect(told.size, `${kind} tells the end of what it never told`).toBeGreaterThan(0)
    told.clear()
    ends += 1
  }
  expect(told, `${kind} has not told the end`).toEqual(new Set())
  expect(ends, kind).toBeGreaterThan(0)
}
