/** Extends the leases of all messages held, running or waiting, in one call per interval. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Emit } from './events.ts'
import type { Lease, Leases } from './leases.ts'
import type { Outage } from './outage.ts'

export type Heartbeat = { stop(): Promise<void> }

/** After a failed heartbeat the next comes soon: the leases are running out. */
const RETRY_MS = 500

export function startHeartbeat(parts: {
  queue: Pick<Queue, 'extend'>
  leases: Leases
  outage: Outage
  emit: Emit
  intervalMs: number
  now: () => number
}): Heartbeat {
  const { queue, leases, outage, emit, intervalMs, now } = parts
  const bell = createBell()
  let stopped = false

  async function beat(): Promise<boolean> {
    const sentAtMs = now()
    // What was read or extended a moment ago can wait for the next beat.
    const due = [...leases.held()].filter(
      (lease) => lease.deadlineMs - sentAtMs < lease.visibilityTimeoutSeconds * 1000 - intervalMs / 2,
    )
    if (due.length === 0) return true
    try {
      const held = await queue.extend(
        due.map((lease) => ({
          receipt: lease.message,
          visibilityTimeoutSeconds: lease.visibilityTimeoutSeconds,
        })),
      )
      outage.succeeded()
      for (const [index, lease] of due.entries()) update(lease, held[index] === true, sentAtMs)
      return true
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      outage.failed(error)
      return false
    }
  }

  function update(lease: Lease, held: boolean, sentAtMs: number): void {
    if (held) leases.renew(lease, sentAtMs)
    else if (leases.lose(lease)) emit('leaseLost', { message: lease.message })
  }

  async function loop(): Promise<void> {
    let ok = true
    while (!stopped) {
      await bell.wait(ok ? intervalMs : Math.min(RETRY_MS, intervalMs))
      if (!stopped) ok = await beat()
    }
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
