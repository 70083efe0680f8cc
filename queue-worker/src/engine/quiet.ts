/** For how long there has been nothing to do, by what reads found. */
import type { Reader } from './reader.ts'

/** On the clock of this process, in milliseconds. */
export type Quiet = {
  /** Since then no read found anything due, and nothing was in flight here. */
  readonly sinceMs: number
  /** When the last of these reads was sent: what was there by then, it would have found. */
  readonly readAtMs: number
  /** When there will be something to read, by all that is known; null when nothing is. */
  readonly nextDueInMs: number | null
}

type Looked = Pick<Reader, 'exhausted' | 'nextVisibleInMs'>

export function createQuietWatch(reader: () => Looked | undefined, now: () => number) {
  /** Who waits for the queues to be empty; looked at after each read. */
  const waiting: (() => void)[] = []
  let sinceMs: number | null = null
  let readAtMs = 0
  let dueAtMs = Number.POSITIVE_INFINITY

  return {
    /** To be called after each read, with how long it took. */
    onRead(durationMs: number): void {
      readAtMs = now() - durationMs
      dueAtMs = now() + (reader()?.nextVisibleInMs ?? Number.POSITIVE_INFINITY)
      sinceMs = reader()?.exhausted === true ? (sinceMs ?? readAtMs) : null
      for (const check of waiting) check()
    },
    /** Resolves when nothing is due, or within so many milliseconds, and nothing is in flight here. */
    empty(withinMs: number): Promise<void> {
      return new Promise((resolve) => {
        waiting.push(() => {
          const soonest = reader()?.nextVisibleInMs ?? null
          if (reader()?.exhausted && (soonest === null || soonest > withinMs)) resolve()
        })
      })
    },
    get isAwaited() {
      return waiting.length > 0
    },
    /** Null: there is something to do, or nobody knows. */
    look(): Quiet | null {
      const read = reader()
      if (sinceMs === null || read?.exhausted !== true) return null
      // While a read is under way, what the last one said still holds.
      const inMs = Math.min(read.nextVisibleInMs ?? Number.POSITIVE_INFINITY, Math.max(0, dueAtMs - now()))
      return { sinceMs, readAtMs, nextDueInMs: Number.isFinite(inMs) ? inMs : null }
    },
  }
}
