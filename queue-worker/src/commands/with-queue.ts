/** What commands that ask the database one thing have in common: a connection, which is closed whatever happens. */
import type { Queue } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import type { Io } from './io.ts'
import { openTransport, setUp } from './setup.ts'

/** Uses the embedded stack of this folder where no connection is configured and it runs. */
export async function withQueue<T>(io: Io, use: (queue: Queue) => Promise<T>): Promise<T> {
  const { config, stack } = await setUp(io, { embedded: 'join' })
  const queue = createQueue(openTransport(config))
  try {
    return await use(queue)
  } finally {
    await queue.close()
    await stack?.stop()
  }
}
