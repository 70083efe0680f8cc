/** The processor of a stress test: does nothing for a while, and tells what it did. */
import { z } from 'zod'
import { sleep } from '../utils/sleep.ts'
import { defineProcessor, type Processor } from './define.ts'

const payload = z.object({ n: z.number().int().nonnegative(), fail: z.boolean(), pad: z.string() })

export type StressJob = {
  readonly queue: string
  /** How long a job takes. */
  readonly durationMs: number
  /** Jobs at once; undefined: as many as the settings say. */
  readonly concurrency: number | undefined
  /** Message `n` runs, under this id. */
  started(n: number, msgId: string): void
  /** A run of it came to its end without failing. */
  ended(n: number): void
}

/** A failure is meant here: waiting long after it would measure nothing. */
const BACKOFF = { baseSeconds: 0.2, maxSeconds: 1 }

export function stressProcessor(job: StressJob): Processor<z.infer<typeof payload>> {
  return defineProcessor({
    queue: job.queue,
    payload,
    backoff: BACKOFF,
    maxAttempts: 5,
    timeoutMs: job.durationMs + 60_000,
    ...(job.concurrency === undefined ? {} : { concurrency: job.concurrency }),
    async process({ n, fail }, { attempt, messageId, signal }) {
      job.started(n, messageId)
      if (job.durationMs > 0) await sleep(job.durationMs, signal)
      signal.throwIfAborted()
      if (fail && attempt === 1) throw new Error('meant to fail once')
      job.ended(n)
    },
  })
}

/** Message `n`, as JSON as long as asked (never shorter than about 45 bytes); of all, the share `fail` fails once. */
export function stressMessage(n: number, sizeBytes: number, fail: number): z.infer<typeof payload> {
  const message = { n, fail: Math.floor((n + 1) * fail) > Math.floor(n * fail), pad: '' }
  return { ...message, pad: 'x'.repeat(Math.max(0, sizeBytes - JSON.stringify(message).length)) }
}
