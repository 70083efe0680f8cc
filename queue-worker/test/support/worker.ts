/** A worker on a real stack, for tests: quiet, fast to poll, and its events kept. */

import { pino } from 'pino'
import { inject } from 'vitest'
import type { Events, Listener } from '../../src/engine/events.ts'
import type { ConsumerSettings, WorkerSettings } from '../../src/engine/settings.ts'
import { createWorker, type Processor, type Transport, type Worker } from '../../src/library.ts'
import { openTransport } from './transports.ts'

export type TestWorker = Worker & { readonly events: Recorded[] }
type Recorded = { [K in keyof Events]: { name: K } & Events[K] }[keyof Events]

export type TestWorkerOptions = {
  readonly connection?: Transport
  readonly queue?: Partial<ConsumerSettings>
  readonly settings?: Partial<WorkerSettings>
  readonly processorModules?: readonly string[]
}

const NAMES = [
  'started',
  'read',
  'returned',
  'isolated',
  'finished',
  'settled',
  'zombie',
  'zombieEnded',
  'leaseLost',
  'queueState',
  'rateLimitSet',
  'connectionLost',
  'connectionBack',
  'isolationFailed',
  'stopping',
  'drainTimedOut',
  'stopped',
] as const satisfies readonly (keyof Events)[]

export function testWorker(
  kind: Transport['kind'],
  processors: readonly Processor[],
  options: TestWorkerOptions = {},
): TestWorker {
  const events: Recorded[] = []
  const listener = Object.fromEntries(
    NAMES.map((name) => [name, (event: object) => void events.push({ name, ...event } as Recorded)]),
  ) as Listener
  const worker = createWorker({
    connection: options.connection ?? openTransport(kind, inject('stack')),
    processors,
    queueDefaults: { backoff: { baseSeconds: 0.05, maxSeconds: 0.2 }, ...options.queue },
    settings: { workerId: 'test', pollIntervalMs: 500, drainTimeoutMs: 5000, ...options.settings },
    logger: pino({ level: 'silent' }),
    listeners: [listener],
    ...(options.processorModules ? { processorModules: options.processorModules } : {}),
  })
  return { ...worker, events }
}

/** Waits until a condition holds, checking often; fails after a minute with the description. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const giveUp = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > giveUp) throw new Error(`waited ${limitMs} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
