/** Schedules and their ticks in the database, over any transport. See "Entry points" in docs/sql.md. */
import { z } from 'zod'
import type { Transport } from '../queue/contract.ts'
import { dateOf } from '../queue/origin-key.ts'
import { asker } from '../queue/queue.ts'

/** What becomes of runs that were missed: nothing, one message for all of them, or one each. */
export const MISSED_POLICIES = ['skip', 'one', 'all'] as const

const moment = z.string().transform(dateOf)
const policy = z.enum(MISSED_POLICIES)
const text = z.string()

const due = z
  .object({ name: text, cron: text, timezone: text, missed: policy, revision: text, ran_until: text })
  .transform(({ ran_until, ...row }) => ({ ...row, ranUntil: ran_until }))

const applied = z.discriminatedUnion('status', [
  z.object({ status: z.literal('ok'), name: text, sent: z.number() }),
  z.object({ status: z.literal('changed'), name: text.nullable() }),
  z
    .object({ status: z.literal('failed'), name: text, error: text, is_news: z.boolean() })
    .transform(({ is_news, ...row }) => ({ ...row, isNews: is_news })),
])

const tick = z
  .object({
    applied: z.array(applied),
    now: moment,
    due: z.array(due),
    next_in_ms: z.number().nullable(),
  })
  .transform(({ next_in_ms, ...row }) => ({ ...row, nextInMs: next_in_ms }))

const lastTick = z
  .object({ run_at: moment, msg_id: text, sent_at: moment, state: text })
  .transform((row) => ({ runAt: row.run_at, msgId: row.msg_id, sentAt: row.sent_at, state: row.state }))

const schedule = z
  .object({
    name: text,
    cron: text,
    timezone: text,
    queue: text,
    message: z.unknown(),
    headers: z.record(z.string(), z.unknown()).nullable(),
    enabled: z.boolean(),
    missed: policy,
    last_error: text.nullable(),
    last_tick: lastTick.nullable(),
  })
  .transform(({ last_error, last_tick, ...row }) => ({ ...row, lastError: last_error, lastTick: last_tick }))

const list = z.object({ now: moment, schedules: z.array(schedule) })
const put = z.enum(['added', 'changed', 'unchanged'])

/** A schedule that is to be looked at now. `revision` and `ranUntil` name the state it was seen in. */
export type Due = z.infer<typeof due>
/** changed: it is not any more as it was seen, or somebody else is at it; nothing was done. */
export type Applied = z.infer<typeof applied>
export type Tick = z.infer<typeof tick>
export type Schedule = z.infer<typeof schedule>
export type ScheduleList = z.infer<typeof list>

/** What is to be done about a schedule that is due; done only if it is still as it was seen. */
export type Plan = Pick<Due, 'name' | 'revision' | 'ranUntil'> &
  (
    | {
        /** To be sent, oldest first. */
        readonly runs: readonly Date[]
        /** With this, all runs up to here are dealt with: `ranUntil` as it was when there are none. */
        readonly through: string
        readonly nextRunAt: Date | null
      }
    | { readonly error: string }
  )

export type NewSchedule = Pick<Schedule, 'name' | 'cron' | 'timezone' | 'queue' | 'message' | 'missed'> & {
  readonly headers: Readonly<Record<string, unknown>> | null
  /** Undefined: on if it is new, else as it is. */
  readonly enabled?: boolean | undefined
}

export type ScheduleRecords = ReturnType<typeof createScheduleRecords>

/** Its functions throw ConnectionFailure. */
export function createScheduleRecords(call: Transport['call']) {
  const ask = asker(call)
  return {
    /** Does what is planned, and says what is due then. */
    tick: (plans: readonly Plan[], maxDue: number): Promise<Tick> =>
      ask('tick', { plans: plans.map(planRow), max_due: maxDue }, tick),
    list: (): Promise<ScheduleList> => ask('schedules', {}, list),
    put: (given: NewSchedule): Promise<z.infer<typeof put>> => ask('schedule_put', given, put),
    /** False when there is none of that name. */
    remove: (name: string): Promise<boolean> => ask('schedule_remove', { name }, z.boolean()),
    enable: (name: string, enabled: boolean): Promise<boolean> =>
      ask('schedule_enable', { name, enabled }, z.boolean()),
  }
}

function planRow({ name, revision, ranUntil, ...plan }: Plan) {
  const seen = { name, revision, ran_until: ranUntil }
  if ('error' in plan) return { ...seen, error: plan.error }
  return { ...seen, runs: plan.runs, through: plan.through, next_run_at: plan.nextRunAt }
}
