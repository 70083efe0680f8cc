/** Tells the database every half minute that this worker lives, and hears whether it is asked to drain. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, WorkerBeat } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Emit } from './events.ts'

const INTERVAL_MS = 30_000
const RETRY_MS = 5000

export type Registry = { stop(): Promise<void> }

export function startRegistry(parts: {
  queue: Pick<Queue, 'beat'>
  emit: Emit
  describe: () => WorkerBeat
  onDrain: () => void
  /** A mistake of ours, not of the connection: the worker cannot go on. */
  onBroken: (error: unknown) => void
}): Registry {
  const bell = createBell()
  let stopped = false
  let told = false
  let isKnown = false

  async function beat(): Promise<void> {
    try {
      isKnown = false
      const { drain } = await parts.queue.beat(parts.describe())
      told = false
      isKnown = true
      if (drain && !stopped) parts.onDrain()
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      // Reading tells of outages; a registry alone that fails is no reason to be unready, let alone to give up.
      if (!stopped && !told && !error.transient) {
        told = true
        parts.emit('registryFailed', { failure: error })
      }
    }
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      await beat()
      await bell.wait(isKnown ? INTERVAL_MS : RETRY_MS)
    }
    await beat() // says that it is stopping
  }

  const running = loop().catch(parts.onBroken)
  return {
    async stop() {
      stopped = true
      bell.ring()
      await running
    },
  }
}
