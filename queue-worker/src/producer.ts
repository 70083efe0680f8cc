/** Sends messages from a program: typed and validated. */
import type { z } from 'zod'
import type { SendOptions, SendResult, Transport } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import { checkSend } from './queue/sends.ts'

/** Maps queue names to the schemas of their payloads. */
export type Schemas = Readonly<Record<string, z.ZodType>>

export type Producer<Known extends Schemas = Record<string, z.ZodType>> = {
  /**
   * Resolves with the message's id once it is in the queue; rejects with ZodError for a payload that does not fit,
   * with ConnectionFailure when the database does not take it (after a lost answer it may be there all the same:
   * give an idempotency key where that matters).
   */
  send<Name extends keyof Known & string>(
    queue: Name,
    message: z.input<Known[Name]>,
    options?: SendOptions,
  ): Promise<SendResult>
  close(): Promise<void>
}

/** With `schemas`, payloads are checked before they are sent and queues without a schema are a type error. */
export function createProducer<Known extends Schemas = Record<string, z.ZodType>>(
  connection: Transport,
  schemas?: Known,
): Producer<Known> {
  const queue = createQueue(connection)
  return {
    async send(name, message, options = {}) {
      const payload = schemas?.[name] === undefined ? message : check(schemas[name], message)
      const [sent] = await queue.send([checkSend({ ...options, queue: name, message: payload })])
      if (sent === undefined) throw new Error('the database answered a send with nothing')
      return sent
    },
    close: () => queue.close(),
  }

  /** What is sent is what was given: the processor parses it again and applies the defaults itself. */
  function check(schema: z.ZodType, message: unknown): unknown {
    schema.parse(message)
    return message
  }
}
