/** Tells the database every half minute that this worker lives, and hears whether it is asked to drain. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, WorkerBeat } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Outage } from './outage.ts'

const INTERVAL_MS = 30_000

export type Registry = { stop(): Promise<void> }

export function startRegistry(parts: {
  queue: Pick<Queue, 'beat'>
  outage: Outage
  describe: () => WorkerBeat
  onDrain: () => void
}): Registry {
  const bell = createBell()
  let stopped = false

  async function beat(): Promise<void> {
    try {
      const { drain } = await parts.queue.beat(parts.describe())
      parts.outage.succeeded()
      if (drain && !stopped) parts.onDrain()
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      if (!stopped) parts.outage.failed(error)
    }
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      await beat()
      await bell.wait(INTERVAL_MS)
    }
    await beat() // says that it is stopping
  }

  const running = loop()
  return {
    async stop() {
      stopped = true
      bell.ring()
      await running
    },
  }
}
