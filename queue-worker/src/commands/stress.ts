/** `stress`: many messages through this very setup, in a queue of their own, watched to their end and cleaned up. */
import { randomBytes } from 'node:crypto'
import { ConnectionFailure, coerceError } from '../errors.ts'
import { createWorker, type Worker } from '../library.ts'
import { stressProcessor } from '../processors/stress.ts'
import { createProducer } from '../producer.ts'
import type { Transport } from '../queue/contract.ts'
import { createQueue, PROTOCOL } from '../queue/queue.ts'
import { removeTestQueue } from '../queue/test-queue.ts'
import { sleep } from '../utils/sleep.ts'
import { EXIT, type ExitCode, type Io, UsageError } from './io.ts'
import { openTransport, type Setup, setUp } from './setup.ts'
import { createLedger, type Ledger } from './stress-ledger.ts'
import { grouped, isGood, showStress, stressResult } from './stress-report.ts'
import { sendAll, watch } from './stress-run.ts'

export type StressFlags = {
  readonly messages: number
  /** Bytes of a message as JSON. */
  readonly size: number
  /** Messages a second; undefined: as fast as possible. */
  readonly rate?: number
  readonly concurrency?: number
  readonly durationMs: number
  /** Share that fails once, 0 to 1. */
  readonly fail: number
}

const MAX_BYTES = 10e9
const CLEANUP_TRIES = 6

export async function stress(
  io: Io,
  { json, ...flags }: StressFlags & { json?: boolean },
): Promise<ExitCode> {
  if (flags.messages * flags.size > MAX_BYTES) {
    throw new UsageError(
      `${grouped(flags.messages)} messages of ${grouped(flags.size)} bytes are more than 10 GB in your database; ask for less`,
    )
  }
  const stop = new AbortController()
  io.onStop(() => {
    if (!stop.signal.aborted) io.err('Stopping and cleaning up …')
    stop.abort()
  })
  const setup = await setUp(io, { embedded: 'join' })
  try {
    return await runOn(setup, io, flags, stop, json === true)
  } finally {
    await setup.stack?.stop()
  }
}

async function runOn(setup: Setup, io: Io, flags: StressFlags, stop: AbortController, json: boolean) {
  const connection = openTransport(setup.config)
  const producer = createProducer(connection)
  const database = createQueue(connection)
  const queue = `stress_${randomBytes(8).toString('hex')}`
  let worker: Worker | undefined
  let isClean = true
  let result: ReturnType<typeof stressResult> | undefined
  try {
    // What could not be removed again must not be made. There is nothing yet: this finds out who may.
    await removeTestQueue(connection, queue)
    if (stop.signal.aborted) return EXIT.failed
    isClean = false
    await database.ensureQueue(queue, { notify: false })
    io.err(`${grouped(flags.messages)} messages of ${grouped(flags.size)} bytes through queue ${queue} …`)
    const ledger = createLedger(flags.messages)
    const run = { queue, flags, ledger, io, stop }
    worker = stressWorker(setup, io, queue, flags, ledger)
    worker.done.then(
      () => stop.abort(new Error('the worker was asked to stop by the registry')),
      (error: unknown) => stop.abort(error),
    )
    if (!stop.signal.aborted) await Promise.race([worker.start(), aborted(stop.signal)])
    const sending = sendAll(run, producer)
    await watch(run, sending)
    const interrupted = stop.signal.aborted
    const reason: unknown = stop.signal.reason
    stop.abort()
    await Promise.all([sending, worker.stop('the test is over', { hurry: interrupted })])
    if (interrupted && !isSignal(reason)) throw coerceError(reason)
    const [left = { ready: 0, hidden: 0 }] = await database.counts([queue])
    result = stressResult(flags, connection, ledger.figures(), left, interrupted)
  } finally {
    stop.abort()
    await worker?.stop('it cannot go on', { hurry: true })
    if (!isClean) isClean = await cleanUp(connection, queue, io)
    await producer.close()
  }
  io.out(json ? JSON.stringify(result) : showStress(result))
  return isGood(result) && isClean ? EXIT.ok : EXIT.failed
}

/** Its own words for every message would drown the test's; what concerns the connection is told. */
function stressWorker({ config }: Setup, io: Io, queue: string, flags: StressFlags, ledger: Ledger): Worker {
  const { durationMs, concurrency } = flags
  const { started, ended } = ledger
  return createWorker({
    connection: openTransport(config),
    processors: [stressProcessor({ queue, durationMs, concurrency, started, ended })],
    settings: { ...config.worker, workerId: queue },
    queueDefaults: config.consumer,
    logger: 'silent',
    secrets: config.secrets,
    listeners: [
      ledger.listener,
      {
        connectionLost: ({ failure }) =>
          io.err(`the connection failed: ${failure.message}\n${failure.remedy}`),
        connectionBack: ({ downMs }) => io.err(`the connection is back after ${Math.round(downMs / 1000)} s`),
      },
    ],
  })
}

/** Removes the queue and all rows about it; tells how to do it by hand where that fails. */
async function cleanUp(connection: Transport, queue: string, io: Io): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      await removeTestQueue(connection, queue)
      io.err(`removed: ${queue}`)
      return true
    } catch (error) {
      const mayPass = error instanceof ConnectionFailure && error.transient
      if (mayPass && tries < CLEANUP_TRIES) {
        await sleep(tries * 1000)
        continue
      }
      io.err(
        `error: the queue ${queue} could not be removed: ${coerceError(error).message}\nRemove it by: ` +
          `select queue_worker_drop_queue('{"protocol": ${PROTOCOL}, "queue": "${queue}"}');`,
      )
      return false
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** What `abort()` without a reason leaves. */
function isSignal(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'AbortError'
}
