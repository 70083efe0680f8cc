/** Extends the leases of all messages held, running or waiting, in one call per interval. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue } from '../queue/contract.ts'
import { createBell, sleep } from '../utils/sleep.ts'
import type { Lease, Leases } from './leases.ts'
import type { Outage } from './outage.ts'
import type { Pulse } from './pulse.ts'

export type Heartbeat = {
  /** Beats now: leases may be shorter than they should be. */
  soon(): void
  stop(): Promise<void>
}

/** After a failed heartbeat the next comes soon: the leases are running out. */
const RETRY_MS = 500

export function startHeartbeat(parts: {
  queue: Pick<Queue, 'extend'>
  leases: Leases
  outage: Outage
  pulse: Pick<Pulse, 'turn'>
  intervalMs: number
  now: () => number
  /** A mistake of ours, not of the connection: the worker cannot go on. */
  onBroken: (error: unknown) => void
}): Heartbeat {
  const { queue, leases, outage, pulse, intervalMs, now, onBroken } = parts
  const calls = outage.calls()
  const bell = createBell()
  let stopped = false
  /** A beat failed that others had overtaken: no news of now, but worth asking. */
  let isDoubtful = false

  async function beat(): Promise<boolean> {
    const sentAtMs = now()
    // What was read or extended a moment ago can wait for the next beat; what is lost is left to its next delivery.
    const due = [...leases.held()].filter(
      (lease) =>
        !lease.lost && lease.deadlineMs - sentAtMs < lease.visibilityTimeoutSeconds * 1000 - intervalMs / 2,
    )
    // After a failure even an empty beat is worth sending: its answer is the end of the outage.
    if (due.length === 0 && calls.failures === 0 && !isDoubtful) return true
    // A call that hangs must not use up the leases: after an interval the next is sent beside it.
    const late = new AbortController()
    const waited = sleep(intervalMs, late.signal).then(() => false)
    const extended = extend(due, sentAtMs).finally(() => late.abort())
    extended.catch(() => {}) // seen by whoever wins the race; a failure after that is the next call's too
    return Promise.race([extended, waited])
  }

  async function extend(due: readonly Lease[], sentAtMs: number): Promise<boolean> {
    try {
      const held = await queue.extend(
        due.map((lease) => ({
          receipt: lease.message,
          visibilityTimeoutSeconds: lease.visibilityTimeoutSeconds,
        })),
      )
      calls.succeeded()
      isDoubtful = false
      for (const [index, lease] of due.entries()) update(lease, held[index] === true, sentAtMs)
      return true
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      // It hung while the outage it belonged to has ended: only the next one that fails begins another.
      if (calls.failures === 0 && !isDoubtful && outage.answeredAtMs > sentAtMs) isDoubtful = true
      else calls.failed(error)
      return false
    }
  }

  function update(lease: Lease, held: boolean, sentAtMs: number): void {
    if (held) leases.renew(lease, sentAtMs)
    else leases.lose(lease)
  }

  async function loop(): Promise<void> {
    let ok = true
    while (!stopped) {
      pulse.turn('heartbeat', intervalMs)
      await bell.wait(ok ? intervalMs : Math.min(RETRY_MS, intervalMs))
      if (!stopped) ok = await beat()
    }
  }

  const running = loop().catch(onBroken)
  return {
    soon: bell.ring,
    async stop() {
      stopped = true
      bell.ring()
      await running
    },
  }
}
