/** A message's whole way: sent, read by a worker, run, settled; in a queue of its own that is removed again. */
import { randomBytes } from 'node:crypto'
import { coerceError } from '../../errors.ts'
import { createWorker } from '../../library.ts'
import { probeProcessor } from '../../processors/probe.ts'
import { removeTestQueue } from '../../queue/test-queue.ts'
import { defineCheck, type Tell } from '../finding.ts'
import type { Parts } from '../parts.ts'

const WAIT_MS = 20_000

const catalog = {
  round_trip_ok: { severity: 'ok', why: '' },
  round_trip_failed: { severity: 'error', why: 'A worker with these settings could not work on a message.' },
  probe_left: { severity: 'warning', why: 'It is in the way of nobody, but it is not yours.' },
} as const

export const roundTrip = defineCheck({
  name: 'round-trip',
  group: 'Workers',
  needs: ['migration', 'grants'],
  // Never given up in the middle, as it cleans up.
  limitMs: 180_000,
  catalog,
  async run(parts: Parts, tell) {
    const name = `doctor_${randomBytes(8).toString('hex')}`
    const trip = await travel(parts, name, tell)
    try {
      await removeTestQueue(parts.transport, name)
      return [trip]
    } catch (error) {
      const how = `Remove it: select queue_worker_drop_queue('{"protocol": 1, "queue": "${name}"}');`
      const what = `the queue ${name} of the probe could not be removed: ${coerceError(error).message}`
      return [trip, tell('probe_left', what, how)]
    }
  },
})

async function travel({ config, queue, open, transport }: Parts, name: string, tell: Tell<typeof catalog>) {
  const started = Promise.withResolvers<number>()
  const settled = Promise.withResolvers<number>()
  const lost = Promise.withResolvers<never>()
  for (const { promise } of [started, settled, lost]) promise.catch(() => {})
  const worker = createWorker({
    connection: open(),
    processors: [probeProcessor(name, () => started.resolve(performance.now()))],
    settings: { ...config.worker, workerId: name },
    logger: 'silent',
    secrets: config.secrets,
    listeners: [
      {
        settled: ({ status }) => status === 'ok' && settled.resolve(performance.now()),
        connectionLost: ({ failure }) => lost.reject(failure),
      },
    ],
  })
  let reached = 'the worker did not start to read'
  const late = () => lost.reject(new Error(`${reached} within ${WAIT_MS / 1000} s`))
  const timer = setTimeout(late, WAIT_MS)
  try {
    await Promise.race([worker.start(), lost.promise])
    reached = 'the message was not sent'
    const sentMs = performance.now()
    await Promise.race([queue.send([{ queue: name, message: { probe: true } }]), lost.promise])
    reached = 'the message was sent, but no worker took it'
    const startedMs = await Promise.race([started.promise, lost.promise])
    reached = 'the message was worked on, but its success was not recorded'
    const settledMs = await Promise.race([settled.promise, lost.promise])
    const ms = (from: number, to: number) => `${Math.max(0, Math.round(to - from))} ms`
    const what = `a message went the whole way over ${transport.kind}: started ${ms(sentMs, startedMs)} after it was sent, recorded ${ms(startedMs, settledMs)} later`
    return tell('round_trip_ok', what)
  } catch (thrown) {
    const error = coerceError(thrown)
    const remedy: unknown = Reflect.get(error, 'remedy')
    const how =
      typeof remedy === 'string' ? remedy : 'Run a worker with LOG_LEVEL=debug and look at what it says.'
    return tell('round_trip_failed', error.message, how)
  } finally {
    clearTimeout(timer)
    await worker.stop('the probe is over', { hurry: true })
  }
}
