/** The loop of a scheduler: asks the database what is due, plans it, has the database do it, sleeps until the next run. */
import type { Emit } from '../engine/events.ts'
import type { Outage } from '../engine/outage.ts'
import { LATE_MS, reconnectMs } from '../engine/pacing.ts'
import type { Pulse } from '../engine/pulse.ts'
import { watchedCall } from '../engine/watched.ts'
import { ConnectionFailure } from '../errors.ts'
import type { Transport } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import { type Planned, planRuns } from './plan.ts'
import { type Applied, createScheduleRecords, type Due, type Tick } from './records.ts'

export type TickingParts = {
  readonly connection: Pick<Transport, 'call' | 'kind' | 'target'>
  readonly outage: Pick<Outage, 'calls' | 'sent'>
  readonly pulse: Pick<Pulse, 'turn'>
  readonly emit: Emit
  /** The longest it sleeps: so soon it notices schedules that were added or changed. */
  readonly pollMs: number
  /** Most runs that one call sends. */
  readonly runsPerCall?: number
  /** A mistake of ours, not of the connection: it cannot go on. */
  readonly onBroken: (error: unknown) => void
}

export type Ticking = {
  /** Resolves when the call under way is answered, and no other will follow. */
  stop(): Promise<void>
}

const MAX_DUE = 100
const RUNS_PER_CALL = 200

export function startTicking(parts: TickingParts): Ticking {
  const { connection, outage, pulse, emit, pollMs, runsPerCall = RUNS_PER_CALL } = parts
  const records = createScheduleRecords(connection.call)
  const calls = outage.calls()
  const bell = createBell()
  let started = false
  let stopped = false

  async function loop(): Promise<void> {
    let planned: readonly Planned[] = []
    /** Rounds in a row in which somebody else was at the same schedule: another scheduler, or a person. */
    let contended = 0
    while (!stopped) {
      const doing = planned
      planned = []
      pulse.turn('scheduling', 0) // its calls end by their own time limit
      const tick = await ask(doing)
      if (tick === null) {
        await rest(reconnectMs(calls.failures))
        continue
      }
      if (!started)
        emit('schedulerStarted', { transport: connection.kind, target: connection.target, pollMs })
      started = true
      for (const one of tick.applied) tell(one, doing, tick.now)
      contended = tick.applied.some(({ status }) => status === 'changed') ? contended + 1 : 0
      if (contended > 0) await rest(Math.min(untilNext(tick), reconnectMs(contended)))
      else {
        planned = planAll(tick)
        if (planned.length === 0) await rest(untilNext(tick))
      }
    }
  }

  /** What was planned is not sent twice: after a failure it is asked again what is due. */
  async function ask(planned: readonly Planned[]): Promise<Tick | null> {
    const plans = planned.map(({ plan }) => plan)
    try {
      const tick = await watchedCall(
        { outage, emit },
        'tick',
        true,
        records.tick(plans, Math.min(budget(), MAX_DUE)),
      )
      calls.succeeded()
      return tick
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      calls.failed(error)
      return null
    }
  }

  /** Less after a failure: it may have been too much for the server's time limit. */
  function budget(): number {
    return Math.max(1, runsPerCall >> Math.min(calls.failures, 30))
  }

  function planAll({ due, now }: { due: readonly Due[]; now: Date }): Planned[] {
    const share = Math.max(1, Math.floor(budget() / Math.max(1, due.length)))
    return due.map((schedule) => planRuns(schedule, now, share))
  }

  function tell(applied: Applied, planned: readonly Planned[], now: Date): void {
    if (applied.status === 'failed') {
      if (applied.isNews) emit('scheduleFailed', { schedule: applied.name, error: applied.error })
    } else if (applied.status === 'ok') {
      const done = planned.find(({ plan }) => plan.name === applied.name)
      const missed = done?.missed ?? null
      const last = done !== undefined && 'runs' in done.plan ? done.plan.runs.at(-1) : undefined
      const lagMs =
        applied.sent === 0 || last === undefined ? null : Math.max(0, now.getTime() - last.getTime())
      if (applied.sent > 0 || missed !== null)
        emit('ticked', { schedule: applied.name, sent: applied.sent, lagMs, missed })
    }
  }

  function rest(ms: number): Promise<void> {
    pulse.turn('scheduling', ms)
    return bell.wait(ms)
  }

  function untilNext({ nextInMs }: Tick): number {
    return Math.min(pollMs, (nextInMs ?? Number.POSITIVE_INFINITY) + LATE_MS)
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
