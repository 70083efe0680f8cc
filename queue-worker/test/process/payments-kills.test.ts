/**
 * A worker process that is killed at each await of a payment; another one takes over, and the provider's books say how often
 * money moved. With the sandbox the moments are made by locks: the worker waits in the statement that the lock keeps from
 * running. The server in place of Stripe kills the worker itself, when it has charged.
 */
import { randomUUID } from 'node:crypto'
import postgres, { type Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { type Cli, endAll, folder, removeFolder, start } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, type Inspector } from '../support/queues.ts'
import { type TestStack, testStack } from '../support/stack.ts'
import { CARDS, STRIPE_KEY, type StripeServer, startStripe } from '../support/stripe-server.ts'
import { until } from '../support/worker.ts'

let stack: TestStack
let stripe: StripeServer
let admin: Sql
let look: Inspector
let cwd = ''

beforeAll(async () => {
  stack = await testStack()
  stripe = await startStripe()
  cwd = await folder()
  admin = postgres(stack.adminUrl, { max: 6, onnotice: () => {} })
  look = createInspector(admin)
  const owner = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(owner, await listMigrations())
  for (const queue of ['payments', 'orders']) await owner`select queue_worker.ensure_queue(${queue}, false)`
  await owner.end()
})
afterEach(endAll)
afterAll(async () => {
  await admin?.end()
  await stripe?.stop()
  await removeFolder(cwd)
  await stack?.dispose()
})

/** Holds what the statement locks until it is released. */
async function holding(statement: string): Promise<() => Promise<void>> {
  const session = await admin.reserve()
  await session.unsafe('begin')
  await session.unsafe(statement)
  return async () => {
    await session.unsafe('rollback')
    session.release()
  }
}

const blocked = () => admin<{ pid: number }[]>`
  select pid from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0 and query ~ 'queue_worker_'`

/** Kills it, and what the server still does for it unless that is to go on. */
async function kill(cli: Cli, goesOn: boolean): Promise<void> {
  cli.signal('SIGKILL')
  await cli.ended
  if (goesOn) return
  await admin`select pg_terminate_backend(pid) from pg_stat_activity
    where cardinality(pg_blocking_pids(pid)) > 0 and query ~ 'queue_worker_'`
}

type Moment = {
  readonly name: string
  /** What keeps the worker from going on. */
  readonly waitsFor: (id: string) => string
  /** Taken once the worker waits for the first, which is then released. */
  readonly thenFor?: (id: string) => string
  /** The server does what it was asked to, though nobody waits for the answer. */
  readonly goesOn?: true
  readonly charged: number
  readonly status: string
}

const BOOKS = () => 'lock table queue_worker.sandbox_requests in exclusive mode'
const moments: readonly Moment[] = [
  { name: 'before the provider is asked', waitsFor: BOOKS, charged: 0, status: 'new' },
  {
    name: 'after the provider has charged, before its answer is seen',
    waitsFor: BOOKS,
    goesOn: true,
    charged: 1,
    status: 'new',
  },
  {
    name: 'after the answer, before it is in the ledger',
    waitsFor: BOOKS,
    thenFor: () => 'lock table queue_worker.ledger in exclusive mode',
    charged: 1,
    status: 'new',
  },
  {
    name: 'after the ledger has the answer, before it is applied',
    waitsFor: BOOKS,
    thenFor: (id) => `select from public.payments where id = '${id}' for update`,
    charged: 1,
    status: 'new',
  },
  {
    name: 'after it is applied, before the message is settled',
    waitsFor: BOOKS,
    thenFor: (id) => `select from pgmq.q_payments where message ->> 'payment_id' = '${id}' for update`,
    charged: 1,
    status: 'succeeded',
  },
]

describe.each(KINDS)('a worker over %s that is killed', (kind) => {
  const worker = (provider = 'sandbox') =>
    start(['start'], {
      cwd,
      env: {
        ...connectionEnv(kind, stack),
        PAYMENTS_PROVIDER: provider,
        STRIPE_SECRET_KEY: STRIPE_KEY,
        STRIPE_API_URL: stripe.url,
        PAYMENTS_VISIBILITY_TIMEOUT_SECONDS: '120',
        PAYMENTS_BACKOFF_BASE_SECONDS: '0.1',
        WORKER_POLL_INTERVAL_MS: '200',
      },
    })
  const charges = async (id: string) =>
    (await admin`select from queue_worker.sandbox_payments where payment_id = ${id}`).length
  const row = async (id: string) => (await admin`select status from public.payments where id = ${id}`)[0]

  test.each(moments)('$name', async ({ waitsFor, thenFor, goesOn = false, charged, status }) => {
    const [made] = await admin`insert into public.payments (id, amount, currency, notify)
      values (${randomUUID()}, 1999, 'EUR', 'orders') returning id`
    const id: string = made?.id
    let release = await holding(waitsFor(id))
    await admin`select pgmq.send('payments', ${admin.json({ operation: 'create', payment_id: id })}::jsonb)`
    const first = worker()
    await until('the worker waits', async () => (await blocked()).length > 0, 60_000)
    if (thenFor !== undefined) {
      const next = await holding(thenFor(id))
      await release()
      release = next
      await until('it has charged', async () => (await charges(id)) === 1)
      if (status !== 'new') await until('it is applied', async () => (await row(id))?.status === status)
      await until('the worker waits again', async () => (await blocked()).length > 0)
    }
    await kill(first, goesOn)
    await release()
    await until('it is charged or not', async () => (await blocked()).length === 0)
    await until('the books are as expected', async () => (await charges(id)) === charged)
    expect(await row(id)).toEqual({ status })
    expect(await look.messages('payments')).toHaveLength(1)

    const second = worker()
    await second.says(/ reads /)
    // Only now: a read that the killed one had sent off would take the message, and has come to its end by the time this one reads.
    await look.expire('payments')
    await until('the message is settled', async () => (await look.messages('payments')).length === 0, 60_000)
    second.signal('SIGTERM')
    expect(await second.ended).toBe(0)
    expect(await charges(id)).toBe(1)
    expect(await row(id)).toEqual({ status: 'succeeded' })
    expect(await look.deadLetters('payments')).toEqual([])
    const archived = (await look.archived('payments')).filter(
      ({ message }) => (message as { payment_id: string }).payment_id === id,
    )
    expect(archived).toHaveLength(1)
    const told = (await look.messages('orders')).map(({ message }) => message as Record<string, unknown>)
    expect(told.filter(({ payment_id }) => payment_id === id)).toMatchObject([{ status: 'succeeded' }])
  })

  /** Kills the worker when Stripe has done this request and not answered it yet. */
  async function killedBy(path: RegExp, message: object): Promise<void> {
    const { promise: done, resolve } = Promise.withResolvers<void>()
    let first: Cli | undefined
    stripe.onDone = async (request) => {
      if (!path.test(request.path)) return
      first?.signal('SIGKILL')
      await first?.ended
      resolve()
    }
    await admin`select pgmq.send('payments', ${admin.json(message as never)}::jsonb)`
    first = worker('stripe')
    await done
    stripe.onDone = () => {}
    expect(await look.messages('payments')).toHaveLength(1)
  }

  async function worksOff(provider: 'sandbox' | 'stripe'): Promise<void> {
    const second = worker(provider)
    await second.says(/ reads /)
    // Only now: a read that the killed one had sent off would take the message, and has come to its end by the time this one reads.
    await look.expire('payments')
    await until('the message is settled', async () => (await look.messages('payments')).length === 0, 60_000)
    second.signal('SIGTERM')
    expect(await second.ended).toBe(0)
    expect(await look.deadLetters('payments')).toEqual([])
  }

  test.each([
    ['a key that is known', false],
    ['a key that is forgotten, as after a day', true],
  ])('while Stripe charges and while it refunds, with %s', async (_what, forgets) => {
    const payment_id = randomUUID()
    const create = { operation: 'create', payment_id, amount: 1999, currency: 'EUR' }
    await killedBy(/^.v1.payment_intents$/, { ...create, payment_method: CARDS.good, notify: 'orders' })
    expect(await row(payment_id)).toEqual({ status: 'new' })
    if (forgets) stripe.forgetKeys()
    await worksOff('stripe')
    expect([stripe.charges(payment_id), await row(payment_id)]).toEqual([1, { status: 'succeeded' }])

    const before = stripe.refunds.size
    await killedBy(/^.v1.refunds$/, { operation: 'refund', payment_id, amount: 500 })
    if (forgets) stripe.forgetKeys()
    await worksOff('stripe')
    expect(stripe.refunds.size - before).toBe(1)
    expect(await row(payment_id)).toEqual({ status: 'partially_refunded' })
    const told = (await look.messages('orders')).map(({ message }) => message as Record<string, unknown>)
    const states = told.filter((one) => one.payment_id === payment_id).map(({ status }) => status)
    expect(states).toEqual(['succeeded', 'partially_refunded'])
  })

  test('while Stripe captures a part of what it holds: taken once', async () => {
    const payment_id = randomUUID()
    const captures = () => stripe.requests.filter(({ path }) => path.endsWith('/capture')).length
    const before = captures()
    const create = { operation: 'create', payment_id, amount: 1999, currency: 'EUR', capture: false }
    await admin`select pgmq.send('payments', ${admin.json({ ...create, payment_method: CARDS.good })}::jsonb)`
    await worksOff('stripe')
    expect(await row(payment_id)).toEqual({ status: 'authorized' })
    await killedBy(/\/capture$/, { operation: 'capture', payment_id, amount: 1500 })
    expect(await row(payment_id)).toEqual({ status: 'authorized' })
    await worksOff('stripe')
    const [captured] =
      await admin`select status, captured_amount from public.payments where id = ${payment_id}`
    expect(captured).toEqual({ status: 'succeeded', captured_amount: '1500' })
    expect(captures() - before).toBe(1)
  })

  test('whose message has lost two workers: it runs in a child, which has a connection of its own', async () => {
    const payment_id = randomUUID()
    const message = { operation: 'create', payment_id, amount: 1999, currency: 'EUR' }
    await admin`select pgmq.send('payments', ${admin.json(message)}::jsonb)`
    const request = { protocol: 2, queues: [{ queue: 'payments', limit: 1, vt_seconds: 60 }] }
    for (let time = 0; time < 2; time += 1) {
      await admin`select public.queue_worker_read(${admin.json(request)}::jsonb)`
      await look.expire('payments')
    }
    const suspects = async () =>
      (await admin`select from queue_worker.isolations where queue = 'payments'`).length
    const before = await suspects()
    await worksOff('sandbox')
    expect([(await suspects()) - before, await charges(payment_id)]).toEqual([1, 1])
    expect(await row(payment_id)).toEqual({ status: 'succeeded' })
  })
})
