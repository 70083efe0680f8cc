/** Deletes old records now and then. Any number of schedulers may: each takes what no other is at. */
import type { Emit } from '../engine/events.ts'
import { ConnectionFailure, SetupError } from '../errors.ts'
import { createBell } from '../utils/sleep.ts'

/** One round: returns how many rows of each kind were deleted, and ends early when it is told to. */
export type Prune = (signal: AbortSignal) => Promise<Readonly<Record<string, number>>>

export type Pruning = { stop(): Promise<void> }

export const PRUNE_INTERVAL_MS = 3_600_000

export function startPruning(parts: {
  readonly prune: Prune
  readonly emit: Emit
  readonly intervalMs?: number
  readonly random?: () => number
  /** A mistake of ours, not of the connection: it cannot go on. */
  readonly onBroken: (error: unknown) => void
}): Pruning {
  const { prune, emit, intervalMs = PRUNE_INTERVAL_MS, random = Math.random } = parts
  const bell = createBell()
  const stopped = new AbortController()
  let told = false

  async function round(): Promise<void> {
    try {
      const deleted = await prune(stopped.signal)
      told = false
      if (Object.values(deleted).some((rows) => rows > 0)) emit('pruned', { deleted })
    } catch (error) {
      // Whoever reads or ticks tells of outages; this one only of what waiting does not mend, and of bites that are too large.
      if (error instanceof ConnectionFailure && error.transient && error.kind !== 'timeout') return
      if (!(error instanceof ConnectionFailure || error instanceof SetupError)) throw error
      if (!told) emit('pruneFailed', { failure: error })
      told = true
    }
  }

  /** The first round comes early, and at another time in each process: a deploy restarts all of them at once. */
  async function loop(): Promise<void> {
    await bell.wait(intervalMs * 0.1 * random())
    while (!stopped.signal.aborted) {
      await round()
      await bell.wait(intervalMs * (0.9 + 0.2 * random()))
    }
  }

  const running = loop().catch(parts.onBroken)
  return {
    async stop() {
      stopped.abort()
      bell.ring()
      await running
    },
  }
}
