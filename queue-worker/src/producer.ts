/** Sends messages from a program: typed and validated. */
import type { z } from 'zod'
import type { SendOptions, SendResult, Transport } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import { createSendBatches } from './queue/send-batches.ts'
import { checkSend } from './queue/sends.ts'
import { createWaker, type WakeOptions } from './services/waker.ts'
import { carryTrace } from './utils/trace-context.ts'
import { createTracing } from './utils/tracing.ts'

/** Maps queue names to the schemas of their payloads. */
export type Schemas = Readonly<Record<string, z.ZodType>>

export type Producer<Known extends Schemas = Record<string, z.ZodType>> = {
  /**
   * Resolves with the message's id once it is in the queue; rejects with ZodError for a payload that does not fit,
   * with ConnectionFailure when the database does not take it (after a lost answer it may be there all the same:
   * give an idempotency key where that matters).
   *
   * Sends that are under way at the same time share requests (up to 500 messages or 1 MB); a lone one is not held back.
   * One that is refused does not fail the others; an answer that is lost fails all that were in its request.
   * Messages keep the order of sends that are awaited one after the other; between sends at the same time there is none.
   * How many those are is the caller's choice: they wait in memory.
   */
  send<Name extends keyof Known & string>(
    queue: Name,
    message: z.input<Known[Name]>,
    options?: SendOptions,
  ): Promise<SendResult>
  /** Takes no more sends, waits for the answers to those that were made, wakes whom it has to, then closes the connection. */
  close(): Promise<void>
}

export type ProducerOptions = {
  /** Told after sends, so that a worker that sleeps (WORKER_SLEEP_WHEN_IDLE_SECONDS) wakes up. No send waits for it, or fails with it. */
  readonly wake?: WakeOptions
}

/** With `schemas`, payloads are checked before they are sent and queues without a schema are a type error. */
export function createProducer<Known extends Schemas = Record<string, z.ZodType>>(
  connection: Transport,
  schemas?: Known,
  options: ProducerOptions = {},
): Producer<Known> {
  const waker = options.wake && createWaker(options.wake)
  const queue = createQueue(connection)
  const batches = createSendBatches(queue.send)
  const tracing = createTracing()
  let closing: Promise<void> | undefined
  return {
    async send(name, message, how = {}) {
      // Of its own: "constructor" is a queue name like any other.
      const schema = schemas !== undefined && Object.hasOwn(schemas, name) ? schemas[name] : undefined
      const payload = schema === undefined ? message : check(schema, message)
      const traced = carryTrace({ ...how, queue: name, message: payload }, tracing?.active() ?? null)
      const sent = await batches.send(checkSend(traced))
      waker?.call()
      return sent
    },
    close: () =>
      (closing ??= batches
        .close()
        .then(() => Promise.all([queue.close(), waker?.close()]))
        .then(() => {})),
  }

  /** What is sent is what was given: the processor parses it again and applies the defaults itself. */
  function check(schema: z.ZodType, message: unknown): unknown {
    schema.parse(message)
    return message
  }
}
