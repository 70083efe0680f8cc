/** The processor of the AMQP queue. What it promises stands in docs/processors/amqp.md. */
import { createHash } from 'node:crypto'
import type { Publisher } from '../services/amqp.ts'
import { carryTrace } from '../utils/trace-context.ts'
import { type AmqpPayload, amqpPayload } from './amqp-payload.ts'
import { defineProcessor, type Processor } from './define.ts'
import { FIVE_DAYS_SECONDS, unlessTooOld } from './server-wait.ts'

export type AmqpProcessorOptions = {
  readonly publisher: Publisher
  /** Default `amqp`. */
  readonly queue?: string
  /** How long messages wait for a broker that cannot be used; default 5 days. */
  readonly giveUpAfterSeconds?: number
}

/** The wire has one byte for the length of a message id. A producer may have given a longer origin key. */
function messageIdOf(originKey: string): string {
  if (Buffer.byteLength(originKey) <= 255) return originKey
  return createHash('sha256').update(originKey).digest('hex')
}

/**
 * Closing the processor closes the publisher. It keeps no step in the ledger: nothing there could tell whether the broker
 * has a message whose confirm was lost, and what is published again has the same message id.
 */
export function amqpProcessor(options: AmqpProcessorOptions): Processor<AmqpPayload> {
  const { publisher, queue = 'amqp', giveUpAfterSeconds = FIVE_DAYS_SECONDS } = options
  return defineProcessor({
    queue,
    payload: amqpPayload,
    // A queue, binding or exchange that is missing is mended by a deploy or a person: within the hour, not in seconds.
    maxAttempts: 12,
    backoff: { baseSeconds: 10, maxSeconds: 900 },
    close: () => publisher.close(),
    async process(payload, { originKey, enqueuedAt, traceContext, signal }) {
      try {
        const traced = carryTrace(payload, traceContext)
        const message = { ...traced, messageId: messageIdOf(originKey), timestamp: enqueuedAt }
        await publisher.publish(message, { signal })
      } catch (error) {
        throw unlessTooOld(error, { enqueuedAt }, giveUpAfterSeconds)
      }
    },
  })
}
