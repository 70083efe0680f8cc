/** Waiting that can be cut short. */
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves after `ms` milliseconds or as soon as the signal is aborted; never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal ? { signal } : {}).catch(() => {})
}

/** A bell: `wait` ends when it rings, or after its time limit. Rung while nobody waits, it ends the next wait. */
export type Bell = { ring(): void; wait(ms: number): Promise<void> }

export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | null = null
  return {
    ring() {
      if (rung) return
      rung = true
      wake?.()
    },
    async wait(ms) {
      if (!rung && ms > 0) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined
        wake = resolve
        await promise
        clearTimeout(timer)
        wake = null
      }
      rung = false
    },
  }
}
