/** Tells the database every half minute that this worker lives, and hears whether it is asked to drain. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, WorkerBeat } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Outage } from './outage.ts'

const INTERVAL_MS = 30_000
/** While beats fail: often enough to notice that the outage is over. */
const RETRY_MS = 5000

export type Registry = { stop(): Promise<void> }

export function startRegistry(parts: {
  queue: Pick<Queue, 'beat'>
  outage: Outage
  describe: () => WorkerBeat
  onDrain: () => void
  /** A mistake of ours, not of the connection: the worker cannot go on. */
  onBroken: (error: unknown) => void
}): Registry {
  const calls = parts.outage.calls()
  const bell = createBell()
  let stopped = false

  async function beat(): Promise<void> {
    try {
      const { drain } = await parts.queue.beat(parts.describe())
      calls.succeeded()
      if (drain && !stopped) parts.onDrain()
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      if (!stopped) calls.failed(error)
    }
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      await beat()
      await bell.wait(calls.failures > 0 ? RETRY_MS : INTERVAL_MS)
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
