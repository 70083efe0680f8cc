/** A queue at the broker, in which the demo sees what arrives there. It is this connection's alone, and goes with it. */
import type { AmqpAddress } from '../config/amqp-url.ts'
import { coerceError } from '../errors.ts'
import { createBrokerClient } from '../services/amqp-client.ts'

export type Arrived = { readonly id: string; readonly type: string; readonly body: string }

export type Inbox = {
  /** What arrived since the last time. */
  take(): Promise<Arrived[]>
  close(): Promise<void>
}

/** Always the same: what waited for a broker in one run is published in the next that has one. */
export const INBOX = 'queue_worker_demo'

const CONNECT_MS = 10_000

/** The inbox, or why there is none. */
export async function openInbox(address: AmqpAddress, caFile: string | undefined): Promise<Inbox | string> {
  try {
    const session = await createBrokerClient(address, caFile, CONNECT_MS).open()
    try {
      const channel = await session.take()
      await channel.assertQueue(INBOX, { exclusive: true, durable: false })
      return {
        async take() {
          const arrived: Arrived[] = []
          for (;;) {
            const message = await channel.get(INBOX, { noAck: true })
            if (message === false) return arrived
            const { messageId, type } = message.properties
            arrived.push({ id: String(messageId), type: String(type), body: message.content.toString() })
          }
        },
        close: () => session.end(),
      }
    } catch (error) {
      await session.end()
      throw error
    }
  } catch (error) {
    return coerceError(error).message
  }
}
