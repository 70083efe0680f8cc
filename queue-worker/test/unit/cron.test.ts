/** Cron expressions: what they mean where clocks change, on rare days, and that what is none is told. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CronError, checkCron, parseCron } from '../../src/scheduler/cron.ts'
import { forAll, nastyText } from '../support/hostile.ts'

/** The next runs, as UTC. */
function runs(cron: string, timezone: string, from: string, count: number): string[] {
  const times = parseCron(cron, timezone)
  const found: string[] = []
  for (let at = times.next(new Date(from)); at !== null && found.length < count; at = times.next(at)) {
    found.push(at.toISOString().replace(':00.000Z', 'Z').replace('.000Z', 'Z'))
  }
  return found
}

describe('where clocks go forward, and an hour is left out', () => {
  // Berlin: 2026-03-29 02:00 +01 becomes 03:00 +02, which is 01:00Z. New York: 2026-03-08 02:00 -05, 07:00Z.
  test.each([
    [
      'a fixed time in it runs at its end',
      'Europe/Berlin',
      '30 2 * * *',
      ['2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'a fixed time at its beginning too',
      'Europe/Berlin',
      '0 2 * * *',
      ['2026-03-29T01:00Z', '2026-03-30T00:00Z'],
    ],
    [
      'a fixed time after it is not moved',
      'Europe/Berlin',
      '30 3 * * *',
      ['2026-03-29T01:30Z', '2026-03-30T01:30Z'],
    ],
    [
      'several fixed times run once at its end',
      'Europe/Berlin',
      '15,45 2 * * *',
      ['2026-03-29T01:00Z', '2026-03-30T00:15Z'],
    ],
    [
      'every half hour goes on',
      'Europe/Berlin',
      '*/30 * * * *',
      ['2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z'],
    ],
    [
      'steps within it do not run',
      'Europe/Berlin',
      '*/20 2 * * *',
      ['2026-03-30T00:00Z', '2026-03-30T00:20Z'],
    ],
    [
      'a fixed time in it runs at its end',
      'America/New_York',
      '30 2 * * *',
      ['2026-03-08T07:00Z', '2026-03-09T06:30Z'],
    ],
    [
      'every hour goes on',
      'America/New_York',
      '0 * * * *',
      ['2026-03-08T06:00Z', '2026-03-08T07:00Z', '2026-03-08T08:00Z'],
    ],
    [
      'half an hour may be left out as well',
      'Australia/Lord_Howe',
      '15 2 * * *',
      ['2026-10-03T15:30Z', '2026-10-04T15:15Z'],
    ],
    [
      'midnight itself may not exist',
      'Africa/Cairo',
      '0 0 * * *',
      ['2026-04-23T22:00Z', '2026-04-24T21:00Z'],
    ],
  ] as const)('%s: %s "%s"', (_, zone, cron, expected) => {
    const from = {
      'Europe/Berlin': '2026-03-29T00:00:00Z',
      'America/New_York': '2026-03-08T05:30:00Z',
      'Australia/Lord_Howe': '2026-10-03T10:00:00Z',
      'Africa/Cairo': '2026-04-23T10:00:00Z',
    }[zone]
    expect(runs(cron, zone, from, expected.length)).toEqual(expected)
  })
})

describe('where clocks go back, and an hour happens twice', () => {
  // Berlin: 2026-10-25 03:00 +02 becomes 02:00 +01, which is 01:00Z. New York: 2026-11-01 02:00 -04, 06:00Z.
  test.each([
    [
      'a fixed time in it runs the first time',
      'Europe/Berlin',
      '30 2 * * *',
      ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'several fixed times too',
      'Europe/Berlin',
      '0 0,2,4 * * *',
      ['2026-10-25T00:00Z', '2026-10-25T03:00Z', '2026-10-25T23:00Z'],
    ],
    [
      'a range too',
      'Europe/Berlin',
      '30 1-3 * * *',
      ['2026-10-24T23:30Z', '2026-10-25T00:30Z', '2026-10-25T02:30Z'],
    ],
    [
      'every hour runs both times',
      'Europe/Berlin',
      '0 * * * *',
      ['2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z'],
    ],
    [
      'steps within it run both times',
      'Europe/Berlin',
      '*/30 2 * * *',
      [
        '2026-10-25T00:00Z',
        '2026-10-25T00:30Z',
        '2026-10-25T01:00Z',
        '2026-10-25T01:30Z',
        '2026-10-26T01:00Z',
      ],
    ],
    [
      'a fixed time after it runs once',
      'Europe/Berlin',
      '0 3 * * *',
      ['2026-10-25T02:00Z', '2026-10-26T02:00Z'],
    ],
    [
      'a fixed time in it runs the first time',
      'America/New_York',
      '30 1 * * *',
      ['2026-11-01T05:30Z', '2026-11-02T06:30Z'],
    ],
    [
      'every half hour runs both times',
      'America/New_York',
      '30 * * * *',
      ['2026-11-01T04:30Z', '2026-11-01T05:30Z', '2026-11-01T06:30Z'],
    ],
    [
      'half an hour may happen twice as well',
      'Australia/Lord_Howe',
      '45 1 * * *',
      ['2026-04-04T14:45Z', '2026-04-05T15:15Z'],
    ],
  ] as const)('%s: %s "%s"', (_, zone, cron, expected) => {
    const from = {
      'Europe/Berlin': '2026-10-24T23:00:00Z',
      'America/New_York': '2026-11-01T04:00:00Z',
      'Australia/Lord_Howe': '2026-04-04T10:00:00Z',
    }[zone]
    expect(runs(cron, zone, from, expected.length)).toEqual(expected)
  })
})

describe('days and names', () => {
  test.each([
    ['0 0 29 2 *', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 12 L * *', ['2026-11-30T12:00Z', '2026-12-31T12:00Z', '2027-01-31T12:00Z', '2027-02-28T12:00Z']],
    ['0 9 * * MON-FRI', ['2026-11-23T09:00Z', '2026-11-24T09:00Z']],
    ['0 9 1 JAN *', ['2027-01-01T09:00Z', '2028-01-01T09:00Z']],
    ['0 9 * * FRI#L', ['2026-11-27T09:00Z', '2026-12-25T09:00Z']],
    ['0 9 * * TUE#2', ['2026-12-08T09:00Z', '2027-01-12T09:00Z']],
    ['0 9 15W * *', ['2026-12-15T09:00Z', '2027-01-15T09:00Z', '2027-02-15T09:00Z']],
    // Day of month or weekday, as in every cron, when both are given.
    ['0 9 1 * MON', ['2026-11-23T09:00Z', '2026-11-30T09:00Z', '2026-12-01T09:00Z']],
    ['30 0 9 * * *', ['2026-11-23T09:00:30Z', '2026-11-24T09:00:30Z']],
    ['*/20 * * * * *', ['2026-11-22T10:00:20Z', '2026-11-22T10:00:40Z', '2026-11-22T10:01Z']],
    ['@daily', ['2026-11-23T00:00Z', '2026-11-24T00:00Z']],
    ['  0\t9 * *  7 ', ['2026-11-29T09:00Z', '2026-12-06T09:00Z']],
  ] as const)('%s', (cron, expected) => {
    expect(runs(cron, 'UTC', '2026-11-22T10:00:00Z', expected.length)).toEqual(expected)
  })
})

describe('what cannot be is told, with what to write', () => {
  test.each([
    [
      '* * * *',
      'UTC',
      /"\* \* \* \*" is no cron expression: write five fields, .*or six with seconds first, or one of @yearly/,
    ],
    ['* * * * * * *', 'UTC', /write five fields/],
    ['', 'UTC', /"" is no cron expression/],
    ['61 * * * *', 'UTC', /invalid value for minute: 61; write five fields/],
    ['*/0 * * * *', 'UTC', /stepping/],
    ['0 9 * * MOX', 'UTC', /is no cron expression/],
    ['? 9 * * *', 'UTC', /write five fields/],
    ['2030-01-01T00:00:00', 'UTC', /write five fields/],
    ['@reboot', 'UTC', /or one of @yearly/],
    [
      '0 9 * * *',
      'Europe/Atlantis',
      /"Europe\/Atlantis" is no time zone: write a name like Europe\/Berlin or UTC/,
    ],
    ['0 9 * * *', '', /"" is no time zone/],
    ['0 9 * * *', "'; drop table pgmq.meta; --", /is no time zone/],
  ])('%s in %s', (cron, zone, said) => {
    expect(() => parseCron(cron, zone)).toThrow(CronError)
    expect(() => parseCron(cron, zone)).toThrow(said)
  })

  test('an expression that never runs is one, but not worth adding', () => {
    const now = new Date('2026-11-22T10:00:00Z')
    expect(parseCron('0 0 30 2 *', 'UTC').next(now)).toBeNull()
    expect(() => checkCron('0 0 30 2 *', 'UTC', now)).toThrow('never runs')
    expect(() => checkCron('0 0 29 2 *', 'UTC', now)).not.toThrow()
  })

  test('nothing else comes out of anything that somebody types', async () => {
    const field = fc.oneof(
      fc.constantFrom('*', '*/7', '1-5', 'L', 'MON#2', '59', '1,2', '15W', '?', '-', '/', '#'),
      nastyText,
    )
    const cron = fc.oneof(
      fc.array(field, { minLength: 4, maxLength: 7 }).map((fields) => fields.join(' ')),
      nastyText,
    )
    const zone = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('UTC', 'Europe/Berlin') }, nastyText)
    await forAll(fc.tuple(cron, zone), { runs: 500 }, ([text, timezone]) => {
      const after = new Date('2026-03-29T00:59:59Z')
      try {
        const next = parseCron(text, timezone).next(after)
        if (next !== null) expect(next.getTime()).toBeGreaterThan(after.getTime())
      } catch (error) {
        if (!(error instanceof CronError)) throw error
        expect(error.message.length).toBeLessThan(600)
      }
    })
  })
})

test('the next run is the same from wherever one looks, also where clocks change', async () => {
  const starts = [
    ['Europe/Berlin', '2026-03-28T22:00:00Z'],
    ['Europe/Berlin', '2026-10-24T21:00:00Z'],
    ['America/New_York', '2026-03-08T04:00:00Z'],
    ['America/New_York', '2026-11-01T02:00:00Z'],
    ['Australia/Lord_Howe', '2026-04-04T12:00:00Z'],
  ] as const
  const crons = [
    '30 2 * * *',
    '*/20 2 * * *',
    '0 0,2,4 * * *',
    '15 1-3 * * *',
    '*/7 * * * *',
    '0 30 1 * * *',
    '0 */2 * * *',
  ]
  const anywhere = fc.record({
    start: fc.constantFrom(...starts),
    cron: fc.constantFrom(...crons),
    ms: fc.integer({ min: 0, max: 12 * 3_600_000 }),
  })
  await forAll(anywhere, { runs: 300 }, ({ start: [zone, from], cron, ms }) => {
    const times = parseCron(cron, zone)
    const looked = new Date(Date.parse(from) + ms)
    let expected = times.next(new Date(from))
    while (expected !== null && expected <= looked) {
      const next = times.next(expected)
      expect(next?.getTime()).toBeGreaterThan(expected.getTime())
      expected = next
    }
    expect(times.next(looked)).toEqual(expected)
  })
})
