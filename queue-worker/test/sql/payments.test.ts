/** The state machine of payments, over all pairs of states, and the borders around the tables. */
import type { Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { CURRENCIES, currencyExponent } from '../../src/utils/currency.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

const STATES = [
  ...['new', 'pending', 'authorized', 'succeeded'],
  ...['partially_refunded', 'refunded', 'canceled', 'failed'],
] as const
type State = (typeof STATES)[number]

/** What may follow each state; the table in docs/processors/payments.md says the same. */
const NEXT: Readonly<Record<State, readonly State[]>> = {
  new: ['pending', 'authorized', 'succeeded', 'partially_refunded', 'refunded', 'canceled', 'failed'],
  pending: ['authorized', 'succeeded', 'partially_refunded', 'refunded', 'canceled', 'failed'],
  authorized: ['succeeded', 'partially_refunded', 'refunded', 'canceled', 'failed'],
  succeeded: ['partially_refunded', 'refunded'],
  partially_refunded: ['refunded'],
  refunded: [],
  canceled: [],
  failed: [],
}
const PAIRS = STATES.flatMap((before) => STATES.map((after) => [before, after] as const))

let database: TestDatabase
let sql: Sql
let counter = 0
const next = () => {
  counter += 1
  return counter
}
beforeAll(async () => {
  database = await createDatabase(inject('stack'))
  sql = database.sql
  await applyMigrations(sql, await listMigrations())
})
afterAll(() => database.dispose())

/** A payment of 1000 in this state, as if it had come there by itself. */
async function payment(status: State): Promise<string> {
  const captured = ['succeeded', 'partially_refunded', 'refunded'].includes(status) ? 1000 : 0
  const refunded = status === 'refunded' ? 1000 : status === 'partially_refunded' ? 400 : 0
  const [row] = await sql`insert into public.payments
      (provider, provider_id, status, amount, currency, captured_amount, refunded_amount)
    values ('sandbox', ${status === 'new' ? null : `id-${next()}`}, ${status}, 1000, 'EUR', ${captured}, ${refunded})
    returning id`
  return row?.id
}

const seenAs = (status: State) => ({
  provider: 'sandbox',
  status: status === 'partially_refunded' || status === 'refunded' ? 'succeeded' : status,
  captured_amount: ['succeeded', 'partially_refunded', 'refunded'].includes(status) ? '1000' : '0',
  refunded_amount: status === 'refunded' ? '1000' : status === 'partially_refunded' ? '400' : '0',
})

const ask = async (name: string, request: object) => {
  const [row] = await sql.unsafe(`select public.queue_worker_payment_${name}($1::text::jsonb) as it`, [
    JSON.stringify({ protocol: 2, ...request }),
  ])
  return row?.it
}
const own = (operation: string) => ({ origin_key: `o-${next()}`, operation })
const statusOf = async (id: string) =>
  (await sql`select status from public.payments where id = ${id}`)[0]?.status

describe('from one state to another', () => {
  test.each(PAIRS)('%s to %s', async (before, after) => {
    const possible = before === after || NEXT[before].includes(after)
    const byHand = await payment(before)
    const update = sql`update public.payments set status = ${after} where id = ${byHand}`
    if (possible) await update
    else
      await expect(update).rejects.toMatchObject({ code: 'QW004', message: expect.stringContaining(before) })
    expect(await statusOf(byHand)).toBe(possible ? after : before)

    if (after === 'new') return
    const id = await payment(before)
    const told = ask('apply', { ...own('sync'), payment_id: id, seen: seenAs(after) })
    const outcome = before === after ? 'unchanged' : possible ? 'applied' : 'stale'
    if (possible || NEXT[after].includes(before)) {
      expect((await told).change).toMatchObject({ outcome, before, after: possible ? after : before })
    } else {
      await expect(told).rejects.toMatchObject({ code: 'QW004', message: expect.stringContaining(id) })
    }
    expect(await statusOf(id)).toBe(possible ? after : before)
  })
})

describe('an operation', () => {
  const ALLOWED: Readonly<Record<string, readonly State[]>> = {
    capture: ['authorized'],
    cancel: ['pending', 'authorized'],
    refund: ['succeeded', 'partially_refunded'],
  }
  const DONE: Readonly<Record<string, readonly State[]>> = {
    capture: ['succeeded', 'partially_refunded', 'refunded'],
    cancel: ['canceled', 'failed'],
    refund: [],
  }
  const cases = Object.keys(ALLOWED).flatMap((operation) =>
    STATES.map((state) => [operation, state] as const),
  )
  test.each(cases)('%s of a payment that is %s', async (operation, state) => {
    const id = await payment(state)
    const asked = ask('call', { ...own(operation), payment_id: id })
    if (ALLOWED[operation]?.includes(state)) {
      expect((await asked).call).toMatchObject({
        key: expect.stringMatching(/^[0-9a-f]{40}$/),
        is_first: true,
      })
    } else if (DONE[operation]?.includes(state)) expect((await asked).call).toBeNull()
    else
      await expect(asked).rejects.toMatchObject({
        code: 'QW004',
        message: expect.stringContaining(operation),
      })
  })

  test('of more than there is, is refused', async () => {
    const rows = [
      ['capture', 'authorized', '1001'],
      ['refund', 'partially_refunded', '601'],
      ['refund', 'succeeded', '0'],
      ['refund', 'succeeded', '-5'],
    ] as const
    for (const [operation, state, amount] of rows) {
      const call = ask('call', { ...own(operation), payment_id: await payment(state), amount })
      await expect(call).rejects.toMatchObject({ code: 'QW004', message: expect.stringContaining(amount) })
    }
  })

  test('asked for again has the same key; another message or operation another one', async () => {
    const id = await payment('authorized')
    const act = { ...own('capture'), payment_id: id }
    const first = (await ask('call', act)).call
    const again = (await ask('call', act)).call
    expect(again).toMatchObject({ key: first.key, generation: 1, is_first: false })
    const keys = [
      first.key,
      (await ask('call', { ...act, operation: 'cancel' })).call.key,
      (await ask('call', { ...act, origin_key: 'other' })).call.key,
      (await ask('call', { ...act, spent: 1 })).call.key,
    ]
    expect(new Set(keys).size).toBe(4)
    expect((await ask('call', { ...act, spent: 1 })).call, 'spent already').toMatchObject({
      key: keys[3],
      generation: 2,
    })
  })

  test('tells when it was asked for, each time with some time around, and nothing of the time between', async () => {
    const id = await payment('new')
    const act = { ...own('create'), payment_id: id }
    const windows = async () => (await ask('call', act)).call.windows
    expect(await windows()).toHaveLength(1)
    expect(await windows(), 'a minute later it is the same').toHaveLength(1)
    await sql`update queue_worker.payment_calls c set windows = (
        select range_agg(tstzrange(lower(w) - interval '7 days', upper(w) - interval '7 days')) from unnest(c.windows) w)
      where payment_id = ${id}`
    const both: { from: string; to: string }[] = await windows()
    expect(both).toHaveLength(2)
    const minutes = both.map(({ from, to }) => (Date.parse(to) - Date.parse(from)) / 60_000)
    for (const length of minutes) expect(length).toBeLessThan(60)
    expect(Date.parse(both[1]?.from ?? '') - Date.parse(both[0]?.from ?? '')).toBeGreaterThan(6 * 86_400_000)
    expect((await ask('begin', { ...own('sync'), payment_id: id })).windows).toEqual(both)
    expect((await ask('begin', { ...own('sync'), payment_id: await payment('new') })).windows).toEqual([])
  })

  test('two messages that create the same payment share one key', async () => {
    const id = await payment('new')
    const calls = [own('create'), own('create')].map((act) => ask('call', { ...act, payment_id: id }))
    const [one, two] = await Promise.all(calls)
    expect(one.call.key).toBe(two.call.key)
  })
})

describe('an event', () => {
  test('counts once, and tells the second time what it did the first', async () => {
    const id = await payment('pending')
    const event = { id: 'evt_1', type: 'payment.succeeded', at: '2026-01-01T00:00:00Z' }
    const request = { origin_key: 'first', payment_id: id, event, seen: seenAs('succeeded') }
    const first = await ask('apply', request)
    expect(first.change).toEqual({
      outcome: 'applied',
      before: 'pending',
      after: 'succeeded',
      origin_key: 'first',
    })
    const again = await ask('apply', { ...request, origin_key: 'second' })
    expect(again).toEqual(first)
    const [events] = await sql`select count(*)::int as n from public.payment_events where payment_id = ${id}`
    expect(events?.n).toBe(1)
  })

  test('with less than what is known takes nothing back', async () => {
    const id = await payment('partially_refunded')
    const seen = { ...seenAs('partially_refunded'), refunded_amount: '100' }
    const { payment: after, change } = await ask('apply', { ...own('sync'), payment_id: id, seen })
    expect([after.refunded_amount, change.outcome]).toEqual(['400', 'unchanged'])
  })

  test('from another provider than the payment’s is refused', async () => {
    const id = await payment('new')
    for (const provider of ['stripe', 'yookassa']) {
      const told = ask('apply', {
        ...own('sync'),
        payment_id: id,
        seen: { ...seenAs('succeeded'), provider },
      })
      await expect(told).rejects.toMatchObject({ code: 'QW004', message: expect.stringContaining(provider) })
    }
  })

  test('about another amount or currency is refused, also where there is nothing left to do', async () => {
    const wrong = [{ amount: '999' }, { amount: '1001' }, { amount: '1000', currency: 'USD' }]
    for (const said of wrong) {
      const id = await payment('pending')
      const seen = { ...seenAs('succeeded'), provider_id: 'other', currency: 'EUR', ...said }
      const expected = {
        code: 'QW004',
        message: expect.stringContaining('is about 1000 EUR (minor units), but'),
      }
      await expect(
        ask('apply', { ...own('sync'), payment_id: id, seen }),
        JSON.stringify(said),
      ).rejects.toMatchObject(expected)
      await expect(ask('call', { ...own('create'), payment_id: id, seen })).rejects.toMatchObject(expected)
      expect(await statusOf(id)).toBe('pending')
    }
  })

  test('about a part is believed where that part of what was held is captured', async () => {
    const held = async () => {
      const id = await payment('authorized')
      await sql`update public.payments set capture = false where id = ${id}`
      return id
    }
    const seen = { ...seenAs('succeeded'), captured_amount: '400', amount: '400', currency: 'EUR' }
    const { payment: after } = await ask('apply', { ...own('sync'), payment_id: await held(), seen })
    expect(after).toMatchObject({ status: 'succeeded', captured_amount: '400', amount: '1000' })
    const more = ask('apply', { ...own('sync'), payment_id: await held(), seen: { ...seen, amount: '1001' } })
    await expect(more).rejects.toMatchObject({ code: 'QW004' })
    const less = ask('apply', {
      ...own('sync'),
      payment_id: await held(),
      seen: { ...seen, status: 'authorized' },
    })
    await expect(less).rejects.toMatchObject({ code: 'QW004' })
  })

  test('about a payment that is not ours changes nothing', async () => {
    const seen = { ...seenAs('succeeded'), provider_id: 'of somebody else' }
    expect(await ask('apply', { ...own('sync'), seen })).toEqual({ payment: null, change: null })
  })

  test('that names another payment of the provider’s than the one known is refused: it would be a second charge', async () => {
    const id = await payment('pending')
    const seen = { ...seenAs('succeeded'), provider_id: 'a second one' }
    const told = ask('apply', { ...own('sync'), payment_id: id, seen })
    await expect(told).rejects.toMatchObject({
      code: 'QW004',
      message: expect.stringContaining('a second one'),
    })
  })
})

test('what a payment is never changes', async () => {
  const id = await payment('pending')
  for (const change of ['amount = 5', "currency = 'USD'", 'id = gen_random_uuid()', "provider_id = 'x'"]) {
    const update = sql.unsafe(`update public.payments set ${change} where id = '${id}'`)
    await expect(update, change).rejects.toMatchObject({ code: 'QW004' })
  }
})

test('amounts that cannot be are refused by the table', async () => {
  for (const change of ['captured_amount = 1001', 'refunded_amount = 1', "currency = 'eur'"]) {
    const [key = '', value = ''] = change.split(' = ')
    const insert = sql.unsafe(
      `insert into public.payments (amount, ${key === 'currency' ? key : `currency, ${key}`}) values (1000, ${key === 'currency' ? value : `'EUR', ${value}`})`,
    )
    await expect(insert, change).rejects.toMatchObject({ code: '23514' })
  }
})

test('a create message makes the row it describes, once, and must not contradict one that is there', async () => {
  const act = own('create')
  const described = {
    amount: '1999',
    currency: 'EUR',
    provider: 'sandbox',
    reference: 'order-1',
    notify: 'orders',
  }
  const { payment: made } = await ask('begin', { ...act, payment: described })
  expect(made).toMatchObject({ ...described, status: 'new', captured_amount: '0', exponent: 2 })
  expect((await ask('begin', { ...act, payment: described })).payment.id).toBe(made.id)
  const other = ask('begin', {
    ...own('create'),
    payment_id: made.id,
    payment: { ...described, amount: '2000' },
  })
  await expect(other).rejects.toMatchObject({ code: 'QW002', message: expect.stringContaining('2000') })
})

test('both sides know the same exponents', async () => {
  const rows = await sql`insert into public.payments (amount, currency)
    select 1, c from unnest(${[...CURRENCIES]}::text[]) c returning currency, exponent`
  for (const { currency, exponent } of rows) expect(currencyExponent(currency), currency).toBe(exponent)
})

test('row level security is on, and a customer’s key reaches nothing', async () => {
  const tables = await sql`select relname, relrowsecurity as rls from pg_class
    where relname in ('payments', 'payment_events') and relnamespace = 'public'::regnamespace order by 1`
  expect(tables.map(({ rls }) => rls)).toEqual([true, true])
  const [can] = await sql`select
      bool_or(has_table_privilege(r, t, p)) filter (where r in ('anon', 'authenticated', 'queue_worker')) as strangers,
      bool_or(has_table_privilege(r, t, 'update, delete, truncate')) filter (where r = 'service_role') as changes,
      bool_and(has_table_privilege(r, t, 'select')) filter (where r = 'service_role') as reads
    from unnest(array['anon', 'authenticated', 'queue_worker', 'service_role']) r,
      unnest(array['public.payments', 'public.payment_events']) t,
      unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p`
  expect(can).toEqual({ strangers: false, changes: false, reads: true })
})
