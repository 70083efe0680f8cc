/** What a broker's users do: declare, bind, consume. And publishers as tests make them. */
import { type Channel, connect, type GetMessage, type Options } from 'amqplib'
import { parseAmqpUrl } from '../../src/config/amqp-url.ts'
import { amqpPayload } from '../../src/processors/amqp-payload.ts'
import { createPublisher, type Publisher, type PublisherSettings } from '../../src/services/amqp.ts'
import type { AmqpMessage } from '../../src/services/amqp-message.ts'

/** A client of the broker. Each call has a connection of its own, so that restarts of the broker do not matter. */
export function brokerClient(url: string) {
  async function within<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const model = await connect(url)
    try {
      return await work(await model.createChannel())
    } finally {
      await model.close()
    }
  }
  return {
    within,
    queue: (name: string, options?: Options.AssertQueue) =>
      within((channel) => channel.assertQueue(name, options)),
    /** Takes all that is there. */
    take: (queue: string) =>
      within(async (channel) => {
        const taken: GetMessage[] = []
        for (;;) {
          const message = await channel.get(queue, { noAck: true })
          if (message === false) return taken
          taken.push(message)
        }
      }),
    count: (queue: string) => within(async (channel) => (await channel.checkQueue(queue)).messageCount),
  }
}

export function publisherFor(
  url: string,
  settings: Partial<PublisherSettings> = {},
  log?: Parameters<typeof createPublisher>[1],
): Publisher {
  const address = parseAmqpUrl(url)
  if ('wrong' in address) throw new Error(address.wrong)
  return createPublisher({ address, ...settings }, log)
}

/** As the processor would make it of this payload; with some data where it has no body. */
export function messageOf(payload: object, messageId = 'm-1'): AmqpMessage {
  const body = 'dataBase64' in payload ? {} : { data: { n: 1 } }
  return {
    ...amqpPayload.parse({ ...body, ...payload }),
    messageId,
    timestamp: new Date(1_700_000_000_000),
  }
}
