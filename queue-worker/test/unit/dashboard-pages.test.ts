/** What pages of the dashboard decide before they ask anything: periods, filters, the life of a message. */
import { describe, expect, test } from 'vitest'
import { PageError } from '../../src/dashboard/asked.ts'
import { changed, readChosen } from '../../src/dashboard/chosen.ts'
import { type Known, lifeOf } from '../../src/dashboard/life.ts'
import { commonPart } from '../../src/dashboard/pages/error-groups.ts'
import { columnsOf, PERIODS, readPeriod } from '../../src/dashboard/period.ts'

const now = new Date('2026-12-01T10:07:33Z')
const query = (text: string) => new URLSearchParams(text)

describe('a period', () => {
  test.each(PERIODS)(
    'of $label is whole steps, the one that goes on among them',
    ({ name, seconds, step }) => {
      const { since, until, stepSeconds } = readPeriod(query(`period=${name}`), now)
      expect(stepSeconds).toBe(step)
      expect((until.getTime() - since.getTime()) / 1000).toBe(seconds)
      expect(since.getTime() % (step * 1000)).toBe(0)
      expect(until.getTime()).toBeGreaterThan(now.getTime())
      expect(until.getTime() - step * 1000).toBeLessThanOrEqual(now.getTime())
    },
  )

  test('may be given, in UTC where it names no zone', () => {
    const { since, until, stepSeconds, name } = readPeriod(
      query('since=2026-11-01T00:00&until=2026-11-03T12:00:00%2B02:00'),
      now,
    )
    expect(name).toBeNull()
    expect(since.getTime()).toBeLessThanOrEqual(Date.parse('2026-11-01T00:00Z'))
    expect(until.getTime()).toBeGreaterThan(Date.parse('2026-11-03T10:00Z'))
    expect((until.getTime() - since.getTime()) / 1000 / stepSeconds).toBeLessThanOrEqual(122)
  })

  test.each(['since=yesterday', 'since=2026-12-02T00:00', 'since=2026-11-02T00:00&until=2026-11-01T00:00'])(
    '%s makes no sense',
    (text) => {
      expect(() => readPeriod(query(text), now)).toThrow(PageError)
    },
  )

  test('has a place for each step, whether something happened or not', () => {
    const period = readPeriod(query('period=1h'), now)
    const nothing = {
      sent: null,
      archived: 0,
      deleted: 0,
      retried: 0,
      dead: 0,
      released: 0,
      snoozed: 0,
      ranMs: null,
      ranMsMax: null,
      waitedMs: null,
      waitedMsMax: null,
    }
    const columns = columnsOf(
      [{ ...nothing, at: '2026-12-01T10:06:00+00:00', archived: 3, deleted: 2, dead: 1, ranMs: 7 }],
      period,
    )
    expect(columns.at).toHaveLength(60)
    expect(columns.succeeded.slice(-3)).toEqual([0, 5, 0])
    expect(columns.dead.at(-2)).toBe(1)
    expect(columns.ranMs.slice(-3)).toEqual([null, 7, null])
    // Not known is not nothing.
    expect(columns.sent.at(-1)).toBeNull()
  })
})

describe('which messages', () => {
  test('are told by the address', () => {
    expect(readChosen(query(''))).toMatchObject({ state: 'ready', search: undefined, after: undefined })
    expect(
      readChosen(
        query(
          'state=dead&field=customer.0.id&value=7&error=busy&reason=unrecoverable&from=2026-11-01T00:00&after=7/1/1',
        ),
      ),
    ).toEqual({
      ...{ state: 'dead', after: '7/1/1', text: undefined, error: 'busy', reason: 'unrecoverable' },
      ...{
        search: { path: ['customer', '0', 'id'], value: '7' },
        since: new Date('2026-11-01T00:00Z'),
        before: undefined,
      },
    })
    // What does not fit to the state is left out: the database would refuse it.
    expect(readChosen(query('state=ready&error=busy&reason=unrecoverable'))).toMatchObject({
      error: undefined,
      reason: undefined,
    })
    expect(readChosen(query('after=2026-12-01 10:00:00.123456%2B00/2/3')).after).toBe(
      '2026-12-01 10:00:00.123456+00/2/3',
    )
    expect(() => readChosen(query('after=nonsense'))).toThrow('There is no such page')
    expect(() => readChosen(query('state=odd'))).toThrow('There is no state "odd".')
  })

  test('are others when something is changed, from their first page on', () => {
    expect(changed(query('state=dead&after=9&error='), { reason: 'unrecoverable' })).toBe(
      '?state=dead&reason=unrecoverable',
    )
    expect(changed(query('state=dead'), { state: null })).toBe('?')
  })
})

test('all errors of a kind begin with what is searched for', () => {
  expect(commonPart('connect ECONNREFUSED 10.0.0.1:587')).toBe('connect ECONNREFUSED')
  expect(commonPart('EmailError: 450 busy')).toBe('EmailError')
  expect(commonPart('42')).toBe('42')
})

describe('the life of a message', () => {
  const found: Known = {
    ...{ queue: 'q', msgId: '7', state: 'dead', originKey: 'k', enqueuedAt: '2026-12-01T10:00:00Z' },
    ...{
      visibleAt: null,
      archivedAt: null,
      message: {},
      headers: null,
      deadMsgId: '3',
      redrivenAs: null,
      sentWithKey: 'once',
    },
    ...{ deadLetter: { dead_at: '2026-12-01T10:09:00Z' }, failures: 1, steps: [] },
    deliveries: [
      {
        delivery: 1,
        outcome: 'retry',
        at: '2026-12-01T10:01:00Z',
        error: 'busy\n  at x',
        workerId: 'w',
        aloneSince: null,
      },
      { delivery: 2, outcome: 'interrupted', at: null, error: null, workerId: null, aloneSince: null },
      {
        delivery: 3,
        outcome: 'snooze',
        at: '2026-12-01T10:05:00Z',
        error: null,
        workerId: 'w',
        aloneSince: '2026-12-01T10:04:00Z',
      },
      {
        delivery: 4,
        outcome: 'dead',
        at: '2026-12-01T10:09:00Z',
        error: 'no',
        workerId: 'w',
        aloneSince: null,
      },
    ],
  }
  const titles = (known: Known) => lifeOf(known).map(({ title }) => title)

  test('is told in order', () => {
    expect(titles(found)).toEqual([
      ...[
        'Sent',
        'Delivery 1 failed',
        'Delivery 2 was interrupted',
        'Delivery 3 ran alone',
        'Delivery 3 was put off',
      ],
      ...['Delivery 4 failed for good', 'Moved to q_dlq as 3'],
    ])
    expect(lifeOf(found)[1]).toMatchObject({ workerId: 'w', error: 'busy\n  at x', tone: 'warn' })
  })

  test('goes on where it does', () => {
    const at = '2026-12-01T11:00:00Z'
    const rest = { deadMsgId: null, deadLetter: null, deliveries: [], sentWithKey: null }
    expect(titles({ ...found, ...rest, state: 'delayed', visibleAt: at })).toEqual(['Sent', 'Due'])
    expect(titles({ ...found, ...rest, state: 'redriven', redrivenAs: '8' })).toEqual(['Sent', 'Redriven'])
    expect(titles({ ...found, ...rest, state: 'gone' })).toEqual(['Sent', 'Gone'])
    expect(
      titles({
        ...found,
        ...rest,
        deliveries: [{ ...(found.deliveries[0] ?? raise()), delivery: 5 }],
        state: 'retrying',
        visibleAt: at,
      }),
    ).toEqual([...['Sent', '4 earlier deliveries', 'Delivery 5 failed', 'Tried again']])
  })
})

function raise(): never {
  throw new Error('there is none')
}
