/** Which runs are sent: those in time always, those that were missed as the schedule says, and never too many at once. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseCron } from '../../src/scheduler/cron.ts'
import { newestRun, planRuns } from '../../src/scheduler/plan.ts'
import type { Due } from '../../src/scheduler/records.ts'
import { forAll } from '../support/hostile.ts'

const due = (more: Partial<Due> = {}): Due => ({
  name: 's',
  cron: '0 * * * *',
  timezone: 'UTC',
  missed: 'one',
  revision: 'r',
  ranUntil: '2026-05-01T08:30:00.123456+00:00',
  ...more,
})
const at = (time: string) => new Date(`2026-05-01T${time}Z`)
const runsOf = (schedule: Due, now: Date, limit = 100) => {
  const { plan, missed } = planRuns(schedule, now, limit)
  if ('error' in plan) throw new Error(plan.error)
  const short = (date: Date | null | undefined) => date?.toISOString().slice(11, 16)
  return {
    runs: plan.runs.map(short),
    through: plan.through,
    next: short(plan.nextRunAt),
    missed: missed && [short(missed.first), short(missed.last)],
  }
}

test('one that was added just now is not due, and everything before is none of its business', () => {
  expect(runsOf(due(), at('08:31:00'))).toEqual({
    ...{ runs: [], missed: null, next: '09:00' },
    through: '2026-05-01T08:30:00.123456+00:00',
  })
})

test.each(['skip', 'one', 'all'] as const)(
  'a run that is due is sent, whatever is to become of missed ones (%s)',
  (missed) => {
    for (const now of ['09:00:00', '09:00:03', '09:00:59']) {
      expect(runsOf(due({ missed }), at(now))).toEqual({
        ...{ runs: ['09:00'], missed: null, next: '10:00' },
        through: '2026-05-01T09:00:00.000Z',
      })
    }
  },
)

describe('after an outage from half past eight to shortly after twelve', () => {
  test.each([
    ['skip', '12:05:00', { runs: [], next: '13:00', missed: ['09:00', '12:00'], through: '12:00' }],
    ['one', '12:05:00', { runs: ['12:00'], next: '13:00', missed: ['09:00', '12:00'], through: '12:00' }],
    [
      'all',
      '12:05:00',
      {
        runs: ['09:00', '10:00', '11:00', '12:00'],
        next: '13:00',
        missed: ['09:00', '12:00'],
        through: '12:00',
      },
    ],
    // The last is in time yet: it is sent in any case, besides what stands for the missed ones.
    ['skip', '12:00:30', { runs: ['12:00'], next: '13:00', missed: ['09:00', '11:00'], through: '12:00' }],
    [
      'one',
      '12:00:30',
      { runs: ['11:00', '12:00'], next: '13:00', missed: ['09:00', '11:00'], through: '12:00' },
    ],
    [
      'all',
      '12:00:30',
      {
        runs: ['09:00', '10:00', '11:00', '12:00'],
        next: '13:00',
        missed: ['09:00', '11:00'],
        through: '12:00',
      },
    ],
  ] as const)('%s at %s', (missed, now, expected) => {
    const through = `2026-05-01T${expected.through}:00.000Z`
    expect(runsOf(due({ missed }), at(now))).toEqual({ ...expected, through })
  })
})

test('all are sent in bites, the oldest first, and each begins where the one before ended', () => {
  let schedule = due({ cron: '*/10 * * * * *', missed: 'all' })
  const now = at('08:40:00')
  const sent: Date[] = []
  for (let bite = 1; ; bite += 1) {
    const { plan, missed } = planRuns(schedule, now, 7)
    if ('error' in plan) throw new Error(plan.error)
    expect(plan.runs.length).toBeLessThanOrEqual(7)
    if (missed !== null) expect(missed.last.getTime()).toBeLessThanOrEqual(plan.runs.at(-1)?.getTime() ?? 0)
    sent.push(...plan.runs)
    schedule = { ...schedule, ranUntil: plan.through.replace('Z', '+00:00') }
    if (plan.nextRunAt !== null && plan.nextRunAt > now) break
    expect(bite).toBeLessThan(10)
  }
  expect(sent.map((run) => run.getTime())).toEqual(
    Array.from({ length: 60 }, (_, n) => at('08:30:10').getTime() + n * 10_000),
  )
})

test('years of missed seconds are skipped, or stood for by one, in no time', () => {
  const seconds = { cron: '* * * * * *', ranUntil: '2016-05-01T08:30:00+00:00' }
  const began = performance.now()
  const skip = planRuns(due({ ...seconds, missed: 'skip' }), at('08:30:00'), 1000).plan
  const one = planRuns(due({ ...seconds, missed: 'one' }), at('08:30:00'), 1000).plan
  expect(performance.now() - began).toBeLessThan(5000)
  if ('error' in skip || 'error' in one) return expect.fail()
  // What is less than a minute old is in time.
  expect([skip.runs.length, skip.runs[0]]).toEqual([60, at('08:29:01')])
  expect([one.runs.length, one.runs[0]]).toEqual([61, at('08:29:00')])
})

test('one that never runs again says so', () => {
  expect(runsOf(due({ cron: '0 0 30 2 *' }), at('12:00:00')).next).toBeUndefined()
})

test('what cannot be read is an error of this schedule', () => {
  for (const wrong of [{ cron: 'every day' }, { timezone: 'Mars/Base' }, { ranUntil: 'infinity' }]) {
    expect(planRuns(due(wrong), at('12:00:00'), 100)).toEqual({
      plan: { name: 's', revision: 'r', ranUntil: due(wrong).ranUntil, error: expect.stringMatching(/./) },
      missed: null,
    })
  }
})

test('a time zone of the database’s session changes nothing', () => {
  const local = due({ ranUntil: '2026-05-01 14:00:00.123456+05:30'.replace(' ', 'T') })
  expect(runsOf(local, at('09:00:00')).runs).toEqual(['09:00'])
})

test('the newest run is found as if all had been gone through', async () => {
  const crons = ['*/7 * * * *', '30 2 * * *', '0 0 1 * *', '*/20 2 * * *', '0 0 29 2 *', '15 10 * * MON']
  const spans = fc.record({
    cron: fc.constantFrom(...crons),
    from: fc.date({
      min: new Date('2026-03-01T00:00:00Z'),
      max: new Date('2026-11-30T00:00:00Z'),
      noInvalidDate: true,
    }),
    hours: fc.double({ min: 0, max: 900, noNaN: true }),
  })
  await forAll(spans, { runs: 100 }, ({ cron, from, hours }) => {
    const times = parseCron(cron, 'Europe/Berlin')
    const until = new Date(from.getTime() + Math.floor(hours * 3_600_000))
    let expected: Date | null = null
    for (let run = times.next(from); run !== null && run <= until; run = times.next(run)) expected = run
    expect(newestRun(times, from, until)).toEqual(expected)
  })
})
