/** Which runs of a schedule to send now. Pure: the time is the database's. */
import { coerceError } from '../errors.ts'
import { dateOf } from '../queue/origin-key.ts'
import { parseCron, type Runs } from './cron.ts'
import type { Due, Plan, Schedule } from './records.ts'

/** A run that nobody has sent for this long was missed. */
export const MISSED_AFTER_MS = 60_000

export type Planned = {
  readonly plan: Plan
  /** The first and the last of the missed runs that the plan deals with. */
  readonly missed: { readonly first: Date; readonly last: Date } | null
}

/** `limit`: at most so many runs; the next plan takes up where this one ends. */
export function planRuns(schedule: Due, now: Date, limit: number): Planned {
  const { name, revision, ranUntil } = schedule
  const seen = { name, revision, ranUntil }
  try {
    const { runs, through, nextRunAt, missed } = dueRuns(schedule, now, limit)
    return {
      plan: { ...seen, runs, through: through?.toISOString() ?? ranUntil, nextRunAt },
      missed,
    }
  } catch (error) {
    // Whatever it is, it is one schedule's, and must not stop the others.
    return { plan: { ...seen, error: coerceError(error).message }, missed: null }
  }
}

function dueRuns({ cron, timezone, missed: policy, ranUntil }: Due, now: Date, limit: number) {
  const times = parseCron(cron, timezone)
  const since = dateOf(ranUntil)
  const first = times.next(since)
  const last = newestRun(times, since, new Date(now.getTime() - MISSED_AFTER_MS))
  // Only what was missed is up to the policy: what is still in time is sent in any case.
  const jumped = policy === 'all' ? null : last
  const runs = jumped !== null && policy === 'one' ? [jumped] : []
  for (let run = times.next(jumped ?? since); run !== null && run <= now && runs.length < limit; ) {
    runs.push(run)
    run = times.next(run)
  }
  const through = runs.at(-1) ?? jumped
  const missed = first === null || last === null ? null : { first, last: earlier(last, through ?? last) }
  return { runs, through, missed, nextRunAt: times.next(through ?? since) }
}

/** The last run after `after` and not after `until`, by halving: there may be millions between. */
export function newestRun(times: Runs, after: Date, until: Date): Date | null {
  let newest = times.next(after)
  if (newest === null || newest > until) return null
  let high = until.getTime()
  // Runs are at whole seconds: within less than one there is no other.
  while (high - newest.getTime() >= 1000) {
    const middle = Math.floor((newest.getTime() + high) / 2)
    const run = times.next(new Date(middle))
    if (run !== null && run <= until) newest = run
    else high = middle
  }
  return newest
}

function earlier(one: Date, other: Date): Date {
  return one < other ? one : other
}

/** The runs after `now`, which is the database's; or why there are none. */
export function comingRuns(
  { cron, timezone }: Pick<Schedule, 'cron' | 'timezone'>,
  now: Date,
  count: number,
) {
  const next: Date[] = []
  try {
    const times = parseCron(cron, timezone)
    for (let run = times.next(now); run !== null && next.length < count; run = times.next(run)) next.push(run)
    return { next, error: null }
  } catch (error) {
    return { next, error: coerceError(error).message }
  }
}
