/** What every command that asks the queues does around its question. */
import { editDistance } from '../config/typos.ts'
import type { Config } from '../config.ts'
import { ConnectionFailure, SetupError } from '../errors.ts'
import type { Queue, Transport } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import type { Io } from './io.ts'
import { openTransport, setUp } from './setup.ts'

/** Connects as configured, or to the embedded stack that runs in this folder, and closes in any case. */
export async function withTransport<T>(
  io: Io,
  run: (transport: Transport, config: Config) => Promise<T>,
): Promise<T> {
  const { config, stack } = await setUp(io, { embedded: 'join' })
  const transport = openTransport(config)
  try {
    return await run(transport, config)
  } finally {
    await transport.close()
    await stack?.stop()
  }
}

export function withQueue<T>(io: Io, run: (queue: Queue, config: Config) => Promise<T>): Promise<T> {
  return withTransport(io, (transport, config) => run(createQueue(transport), config))
}

/**
 * Runs what is about one queue; where there is none of this name, tells which there are.
 * @throws SetupError that names them.
 */
export async function about<T>(queue: Queue, name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof ConnectionFailure) || error.kind !== 'missing_queue') throw error
    const names = (await queue.overview()).map((one) => one.queue)
    throw names.includes(name) ? error : noSuchQueue(name, names, error)
  }
}

export function noSuchQueue(name: string, names: readonly string[], cause?: unknown): SetupError {
  const near = names.toSorted((a, b) => editDistance(name, a) - editDistance(name, b))[0]
  const isNear = near !== undefined && editDistance(name, near) <= Math.max(2, name.length / 4)
  const remedy =
    names.length === 0
      ? `There are no queues yet. Create one with: select pgmq.create('email_queue');`
      : `${isNear ? `Did you mean ${near}? ` : ''}These exist: ${names.join(', ')}`
  return new SetupError(`there is no queue "${name}"`, remedy, { cause })
}
