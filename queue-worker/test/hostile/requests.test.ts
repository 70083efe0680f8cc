/**
 * Every entry point with arbitrary requests, as the two roles that may call it, on a stack of its own: an answer of the
 * documented form, or QW00x with what is wrong and what it takes, and then nothing has changed. Everybody else is refused.
 */
import fc from 'fast-check'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { diagnosisRow } from '../../src/doctor/diagnosis.ts'
import { signJwt } from '../../src/embedded/keys.ts'
import { readState } from '../../src/embedded/state.ts'
import { actedRow, auditRows } from '../../src/queue/action-rows.ts'
import { reportLineRows, schedulePastRow } from '../../src/queue/browse-rows.ts'
import * as dashboard from '../../src/queue/dashboard-rows.ts'
import * as operator from '../../src/queue/operator-rows.ts'
import * as rows from '../../src/queue/rows.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { type TestStack, testStack } from '../support/stack.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Answer = { code: string | null; message: string; hint: string; value: unknown; status: number }

const QUEUE = 'hostile'
const receipt = { queue: QUEUE, msg_id: '1', delivery: 1, enqueued_at: '2026-01-01T00:00:00.000001+00:00' }
const demand = { queue: QUEUE, limit: 2, vt_seconds: 1 }
const send = { queue: QUEUE, message: { a: 1 }, headers: { b: 2 }, delay_seconds: 1 }
const settlement = {
  ...{ ...receipt, outcome: 'dead', delay_ms: 5, error: 'e', reason: 'unrecoverable', attempts: 1 },
  ...{ sends: [send], ran_ms: 1.5, waited_ms: 2 },
}
const tripping = {
  ...{ ...receipt, msg_id: '2', outcome: 'snooze', delay_ms: 5 },
  breaker: { reason: 'down', retry_after_ms: 7 },
}
const lease = { ...receipt, vt_seconds: 5 }
const PAYMENT = '6a0c1c3e-2a4b-4c57-9d55-3f1d2b0f6a11'
const REVISION = '7c9e6679-7425-40de-944b-e07fc1f90ae7'
const described = {
  ...{ amount: '1999', currency: 'EUR', provider: 'sandbox', reference: 'r', capture: true },
  ...{ description: 'd', metadata: { a: 'b' }, notify: 'n' },
}
const seen = {
  ...{
    provider: 'sandbox',
    provider_id: 'p',
    status: 'authorized',
    captured_amount: '0',
    refunded_amount: '0',
  },
  ...{ confirmation_url: null, client_secret: null, error: null },
}
const done = z.enum(['']).nullable()

/** A demand that names no queue is told so in a state without one; our own client asks for none of these. */
const readAnswer = z.preprocess(
  (given: { queues: { queue: string | null; status: string }[] }) => ({
    ...given,
    queues: given.queues.map((one) => (one.status === 'error' ? { ...one, queue: one.queue ?? '' } : one)),
  }),
  rows.readRows,
)

/** One good request of each entry point, and the form of its answers. */
const KNOWN: Record<string, { good: { [key: string]: Json }; answer: z.ZodType }> = {
  read: { good: { queues: [demand, { ...demand, queue: 'none' }], max_bytes: 1000 }, answer: readAnswer },
  settle: { good: { worker_id: 'w', settlements: [settlement, tripping] }, answer: rows.settleRows },
  exchange: {
    good: {
      ...{ worker_id: 'w', queues: [demand] },
      settlements: [{ ...settlement, outcome: 'archive' }, tripping],
    },
    answer: z.object({ settled: rows.settleRows, read: readAnswer }),
  },
  extend: { good: { leases: [lease] }, answer: rows.extendRows },
  read_rows: { good: { queues: [demand, { ...demand, queue: 'none' }], max_bytes: 1000 }, answer: z.any() },
  finish: { good: { worker_id: 'w', queue: QUEUE, outcome: 'archive' }, answer: rows.settleRows.nullable() },
  isolate: { good: { worker_id: 'w', lease }, answer: z.boolean() },
  send: {
    good: {
      sends: [send, { queue: QUEUE, message: null, at: '2026-02-02T00:00:00Z', idempotency_key: 'k' }],
    },
    answer: rows.sendRows,
  },
  ensure_queue: { good: { queue: QUEUE, notify: true }, answer: done },
  set_paused: { good: { queue: QUEUE, paused: true }, answer: done },
  set_rate_limit: { good: { queue: QUEUE, max_messages: 100, period_seconds: 60 }, answer: done },
  drop_queue: { good: { queue: 'stress_0123456789abcdef' }, answer: z.literal(true) },
  diagnose: { good: { queues: [QUEUE, 'none'] }, answer: diagnosisRow },
  overview: { good: { queues: [QUEUE] }, answer: operator.overviewRows },
  inspect: { good: { queue: QUEUE, msg_id: '1' }, answer: operator.inspectedRow },
  glance: { good: { queues: [QUEUE] }, answer: dashboard.glanceRow },
  messages: {
    good: {
      ...{ queue: QUEUE, state: 'ready', limit: 5, after: '2026-01-01/1/1', text: 'a', error: 'e' },
      ...{ search: { path: ['a'], value: '1' }, since: '2026-01-01', before: '2027-01-01' },
    },
    answer: dashboard.messagePage,
  },
  history: {
    good: { queue: QUEUE, since: '2026-01-01', until: '2026-01-02', step_seconds: 3600 },
    answer: dashboard.historyRows,
  },
  error_groups: {
    good: { queue: QUEUE, since: '2026-01-01', until: '2027-01-01' },
    answer: dashboard.errorGroupRows,
  },
  act: {
    good: {
      ...{
        by: 'ann',
        action: 'redrive',
        queue: QUEUE,
        msg_ids: ['1'],
        limit: 5,
        after_id: '0',
        per_second: 5,
      },
      ...{ all: true, forget_uncertain: false, name: 'hourly', enabled: true, audit_id: '1', send },
    },
    answer: actedRow,
  },
  audit: { good: { before: '9', queue: QUEUE, limit: 5 }, answer: auditRows },
  related: { good: { origin_key: 'o' }, answer: dashboard.relatedRow },
  schedule_past: { good: { name: 'hourly', limit: 5 }, answer: schedulePastRow },
  recent_reports: {
    good: { before: { requested_at: '2026-01-01', origin_key: 'o' }, limit: 5 },
    answer: reportLineRows,
  },
  dead_letters: {
    good: {
      ...{ queue: QUEUE, after_id: '0', up_to_id: '9', limit: 5, since: '2026-01-01', error: 'x' },
      ...{ max_bytes: 1000, with_messages: true },
    },
    answer: operator.deadLetterRows,
  },
  count_dead_letters: {
    good: { queue: QUEUE, msg_ids: ['1'], reason: 'unrecoverable', before: '2026-01-01', limit: 5 },
    answer: operator.letterCountRow,
  },
  prune: {
    good: { days: 30, archive_days: { [QUEUE]: 1 }, limit: 5, after: { outcomes: '2026-01-01' } },
    answer: operator.prunedRow,
  },
  redrive: {
    good: {
      ...{ queue: QUEUE, msg_ids: ['1', 2], reason: 'unrecoverable', limit: 5, forget_uncertain: true },
      ...{ per_second: 50, delay_seconds: 1 },
    },
    answer: operator.redriveRows,
  },
  discard_dead_letters: {
    good: { queue: QUEUE, msg_ids: [1, '2'], all: false, limit: 5 },
    answer: operator.discardedRow,
  },
  ledger_start: { good: { origin_key: 'o', step: 's', repeat: false, token: 't' }, answer: rows.ledgerRow },
  ledger_finish: { good: { origin_key: 'o', step: 's', result: { r: 1 } }, answer: done },
  ledger_forget: { good: { origin_key: 'o', step: 's', token: 't' }, answer: done },
  beat: {
    good: {
      ...{ worker_id: 'w', instance: 'i', version: '1', host: 'h', pid: 1 },
      ...{ queues: [QUEUE], in_flight: 0, stopping: false, schedules: true },
    },
    answer: rows.beatRow,
  },
  report_start: {
    good: {
      ...{ origin_key: 'o', run: 'r', report: 'daily_volume', params: { since: '2026-01-01', queue: QUEUE } },
      ...{ format: 'csv', title: 't', time_zone: 'Asia/Tokyo', again: false },
    },
    answer: z.looseObject({ state: z.enum(['running', 'refused', 'done']) }),
  },
  report_rows: { good: { origin_key: 'running', run: 'r', page_bytes: 1000 }, answer: z.any() },
  report_open: {
    good: { origin_key: 'running', run: 'r' },
    answer: z.strictObject({ pages: z.number() }),
  },
  report_page: {
    good: { run: 'r', page: 0 },
    answer: z.strictObject({ lines: z.string() }).nullable(),
  },
  report_close: { good: { run: 'r' }, answer: done },
  report_finish: {
    good: {
      ...{ origin_key: 'running', run: 'r', rows: 1, bytes: 2, sha256: 's', location: 'l', title: 't' },
    },
    answer: z.boolean(),
  },
  report_fail: { good: { origin_key: 'running', run: 'r', error: 'e' }, answer: z.boolean() },
  payment_begin: {
    good: { origin_key: 'o', operation: 'create', payment_id: PAYMENT, payment: described },
    answer: z.object({ payment: z.any(), done: z.null() }),
  },
  payment_call: {
    good: { origin_key: 'o', operation: 'capture', payment_id: PAYMENT, amount: '5', seen, spent: 1 },
    answer: z.object({ call: z.object({ key: z.string(), is_first: z.boolean() }).nullable() }),
  },
  payment_apply: {
    good: {
      origin_key: 'o',
      operation: 'sync',
      payment_id: PAYMENT,
      event: { id: 'e', type: 't', at: null },
      seen,
    },
    answer: z.object({ payment: z.any(), change: z.object({ outcome: z.string() }).nullable() }),
  },
  sandbox: {
    good: {
      ...{ operation: 'create', key: 'k', payment_id: PAYMENT, amount: '5', currency: 'EUR', capture: true },
      ...{ return_url: 'https://a.example', id: 'sandbox_1', reference: 'r' },
    },
    answer: z.object({}),
  },
  schedules: {
    good: {},
    answer: z.strictObject({ now: z.string(), schedules: z.array(z.looseObject({ name: z.string() })) }),
  },
  schedule_put: {
    good: {
      ...{ name: 'new', cron: '0 9 * * *', timezone: 'Europe/Berlin', queue: QUEUE, message: { a: 1 } },
      ...{ headers: { b: 2 }, enabled: true, missed: 'all' },
    },
    answer: z.enum(['added', 'changed', 'unchanged']),
  },
  schedule_remove: { good: { name: 'hourly' }, answer: z.boolean() },
  schedule_enable: { good: { name: 'hourly', enabled: false }, answer: z.boolean() },
  tick: {
    good: {
      plans: [
        {
          ...{ name: 'hourly', revision: REVISION, ran_until: '2026-01-01T00:00:00Z' },
          ...{ runs: ['2026-01-01T01:00:00Z'], through: '2026-01-01T01:00:00Z' },
          ...{ next_run_at: '2026-01-01T02:00:00Z' },
        },
        { name: 'hourly', revision: REVISION, ran_until: '2026-01-01T00:00:00Z', error: 'e' },
      ],
      max_due: 5,
    },
    answer: z.strictObject({
      applied: z.array(z.looseObject({ status: z.enum(['ok', 'changed', 'failed']) })),
      ...{ now: z.string(), due: z.array(z.any()), next_in_ms: z.number().nullable() },
    }),
  },
  status: { good: {}, answer: rows.statusRow },
  counts: { good: { queues: [QUEUE] }, answer: rows.countRows },
}

/** What else these take beside their request, as JSON and as SQL. */
const LISTS: Record<string, { json: string; sql: string }> = {
  finish: {
    json: `, "msg_ids": [1], "deliveries": [1], "enqueued_ats": ["${receipt.enqueued_at}"], "ran_ms": [1], "waited_ms": [null]`,
    sql: `, '{1}', '{1}', '{${receipt.enqueued_at}}', '{1}', '{null}'`,
  },
}

let stack: TestStack
let admin: Sql
let login: Sql
let names: string[] = []

beforeAll(async () => {
  stack = await testStack()
  const connection = { synchronous_commit: false }
  admin = postgres(stack.adminUrl, { max: 1, onnotice: () => {}, connection })
  const owner = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(owner, await listMigrations())
  await owner.unsafe(`create role plain_worker login password 'plain' in role queue_worker`)
  await owner`select queue_worker.ensure_queue(${QUEUE}, false)`
  await owner.end()
  const url = new URL(stack.databaseUrl)
  Object.assign(url, { username: 'plain_worker', password: 'plain' })
  login = postgres(url.href, { max: 1, onnotice: () => {} })
  await admin.unsafe(FIXTURE).simple()
  const found = await admin<{ name: string }[]>`
    select replace(proname, 'queue_worker_', '') as name from pg_proc
    where pronamespace = 'public'::regnamespace and proname ~ '^queue_worker_' order by 1`
  names = found.map(({ name }) => name)
  // PostgREST notices a migration a moment after it was committed.
  const answers = async () => (await overRest('status', '{"protocol": 1}')).status === 200
  await vi.waitUntil(answers, { timeout: 60_000 })
})
afterAll(async () => {
  await Promise.all([admin?.end(), login?.end()])
  await stack?.dispose()
})

test('each entry point of the catalog is tried here', () => {
  expect(names).toEqual(Object.keys(KNOWN).toSorted())
})

describe.each(Object.entries(KNOWN))('queue_worker_%s', (name, { good, answer }) => {
  test('answers a good request', async () => {
    for (const ask of [overRest, overLogin]) {
      await clean()
      known = null
      const given = await ask(name, toText({ protocol: 1, ...good }))
      expect(given, given.message).toMatchObject({ code: null })
      answer.parse(given.value)
    }
  })

  test('answers or refuses any other clearly, and what it refuses changes nothing', async () => {
    const broken = mutated({ protocol: 1, ...good })
    const wild = fc.oneof(scalar, fc.array(scalar), fc.dictionary(fc.constantFrom(...keysOf(good)), nested))
    await forAll(fc.oneof({ weight: 6, arbitrary: broken }, wild), { runs: 30 }, async (request) => {
      const text = toText(request)
      const codes = []
      for (const ask of [overRest, overLogin]) {
        const before = await clean()
        const given = await ask(name, text)
        codes.push(given.code)
        if (given.code === null) {
          known = null
          answer.parse(given.value)
          continue
        }
        expect(given.code, given.message).toMatch(/^QW00[1-4]$/)
        expect(given.message).toMatch(/^queue-worker: \S[\s\S]{5}/)
        expect([...given.message].length).toBeLessThanOrEqual(600)
        expect(given.hint).toMatch(/\S{3}/)
        expect(await state()).toBe(before)
      }
      expect(codes[0]).toBe(codes[1])
    })
  })

  test('refuses everybody else', async () => {
    const body = toText({ protocol: 1, ...good })
    const before = await clean()
    const secret = readState(`${stack.directory}/stack.json`)?.secrets.jwtSecret ?? ''
    const user = signJwt({ role: 'authenticated', sub: 'somebody', exp: 4e9 }, secret)
    for (const key of [stack.anonKey, stack.publishableKey, user, `${user}x`, 'nonsense', '']) {
      const given = await overRest(name, body, key)
      expect([401, 403], `${given.status} ${given.message}`).toContain(given.status)
    }
    for (const profile of ['queue_worker', 'pgmq']) {
      const given = await overRest(name, body, stack.secretKey, { 'content-profile': profile })
      expect(given.status, 'a schema that is not exposed').toBe(406)
    }
    for (const role of ['anon', 'authenticated']) {
      for (const schema of ['public.queue_worker_', 'queue_worker.']) {
        const call = admin.begin(async (tx) => {
          await tx.unsafe(`set local role ${role}`)
          await tx.unsafe(`select ${schema}${name}('{}'::jsonb${LISTS[name]?.sql ?? ''})`)
        })
        await expect(call).rejects.toMatchObject({ code: '42501' })
      }
    }
    expect(await state()).toBe(before)
  })
})

test('what no jsonb can hold is refused before it gets anywhere, and told to be a request that is wrong', async () => {
  for (const text of ['{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": 1e999999}', '['.repeat(20_000), '{']) {
    const before = await clean()
    expect((await overRest('send', text)).status, text.slice(0, 20)).toBe(400)
    expect((await overLogin('send', text)).code, text.slice(0, 20)).toMatch(/^(22|54)/)
    expect(await state()).toBe(before)
  }
})

/** What there is in a database as it was at first; it is made so only when something may have changed. */
let known: string | null = null
async function clean(): Promise<string> {
  if (known === null) {
    await admin`select hostile.reset()`
    known = await state()
  }
  return known
}

/** All that the tables of ours and of pgmq hold. */
async function state(): Promise<string> {
  const [row] = await admin`select hostile.state()`
  return row?.state
}

async function overRest(name: string, text: string, key = stack.secretKey, headers = {}): Promise<Answer> {
  const response = await fetch(`${stack.url}/rest/v1/rpc/queue_worker_${name}`, {
    method: 'POST',
    headers: { apikey: key, authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: `{"request": ${text}${LISTS[name]?.json ?? ''}}`,
  })
  const { status } = response
  const said = await response.text()
  const value: unknown = said === '' ? null : JSON.parse(said)
  if (response.ok) return { code: null, message: '', hint: '', value, status }
  const { code, message, hint } = z
    .looseObject({
      code: z.string().catch(''),
      message: z.string().catch(said),
      hint: z.string().catch(''),
    })
    .parse(value)
  return { code, message, hint, value: null, status }
}

async function overLogin(name: string, text: string): Promise<Answer> {
  try {
    const [row] = await login.unsafe(
      `select public.queue_worker_${name}($1::text::jsonb${LISTS[name]?.sql ?? ''}) as answer`,
      [text],
    )
    return { code: null, message: '', hint: '', value: row?.answer, status: 200 }
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error
    return { code: error.code, message: error.message, hint: error.hint ?? '', value: null, status: 400 }
  }
}

/** Numbers that JavaScript has none of stand in the values as texts with this mark. */
const RAW = 'raw number '
function toText(request: Json): string {
  return JSON.stringify(request).replace(new RegExp(`"${RAW}([^"]*)"`, 'g'), '$1')
}

const oddNumbers = [
  '1e400',
  '-1e400',
  '1e-400',
  '9223372036854775808',
  '99999999999999999999999',
  '0.1',
  '-0',
]
const dates = [
  'infinity',
  '-infinity',
  '294277-01-01',
  '4714-11-25 BC',
  '2026-13-45',
  'now',
  'epoch',
  'allballs',
]
const scalar: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, -1, 1, 2 ** 31, 2 ** 53, -(2 ** 63), 1e15, 0.5, [], {}),
  fc.constantFrom(...oddNumbers.map((text) => RAW + text)),
  fc.constantFrom(...dates),
  nastyText.filter((text) => text.isWellFormed() && !text.includes('\u0000')),
)
const nested: fc.Arbitrary<Json> = fc.oneof(
  { depthSize: 'small' },
  { weight: 3, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 2000 }, (_, n) => n)) },
  { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('queue', 'msg_id', 'message', 'limit'), scalar) },
)

/** A good request with one to three of its parts taken away or replaced by something else. */
function mutated(good: Json): fc.Arbitrary<Json> {
  const change = fc.tuple(fc.constantFrom(...pathsOf(good)), fc.option(nested, { nil: undefined, freq: 6 }))
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const copy = structuredClone(good)
    for (const [path, value] of changes) replace(copy, path, structuredClone(value))
    return copy
  })
}

type Path = readonly (string | number)[]
function pathsOf(value: Json, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const inner = Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))
  return path.length === 0 ? inner : [path, ...inner]
}

function replace(target: Json, [key, ...rest]: Path, value: Json | undefined): void {
  if (typeof target !== 'object' || target === null || key === undefined) return
  const holder = target as { [key: string]: Json }
  if (rest.length > 0) replace(holder[key] ?? null, rest, value)
  else if (value === undefined) delete holder[key]
  else holder[key] = value
}

function keysOf(good: { [key: string]: Json }): string[] {
  return ['protocol', ...Object.keys(good)]
}

/** `state` tells all there is; `reset` makes it what it was at first. */
const FIXTURE = `
create schema hostile;
create function hostile.state() returns text language plpgsql as $$
declare t regclass; part text; found text := '';
begin
  for t in select c.oid from pg_class c where c.relkind = 'r'
    and c.relnamespace in ('queue_worker'::regnamespace, 'pgmq'::regnamespace, 'public'::regnamespace) order by c.oid::regclass::text
  loop
    execute format('select coalesce(string_agg(x::text, chr(10) order by x::text), '''') from %s x', t) into part;
    found := found || t::text || chr(10) || part || chr(10);
  end loop;
  return found;
end $$;
create function hostile.reset() returns void language plpgsql as $$
declare other text;
begin
  for other in select l.queue_name from pgmq.list_queues() l where l.queue_name not in ('${QUEUE}', '${QUEUE}_dlq') loop
    perform pgmq.drop_queue(other);
    -- A queue may be called "meta": what has that name is no view of a queue.
    if (select c.relkind = 'v' from pg_class c where c.oid = to_regclass(format('pgmq.%I', other))) then
      execute format('drop view pgmq.%I', other);
    end if;
  end loop;
  foreach other in array array['pgmq.q_${QUEUE}', 'pgmq.a_${QUEUE}', 'pgmq.q_${QUEUE}_dlq', 'queue_worker.outcomes',
    'queue_worker.isolations', 'queue_worker.origins', 'queue_worker.sent_keys', 'queue_worker.ledger',
    'queue_worker.schedules', 'queue_worker.workers', 'queue_worker.stats', 'queue_worker.queues', 'queue_worker.report_pages', 'public.reports',
    'public.payments', 'queue_worker.sandbox_refunds', 'queue_worker.sandbox_payments', 'queue_worker.sandbox_requests'] loop
    execute 'delete from ' || other || ' where true';
  end loop;
  insert into pgmq.q_${QUEUE} (msg_id, read_ct, enqueued_at, vt, message) overriding system value values
    (1, 1, '2026-01-01T00:00:00.000001Z', now() + interval '1 h', '{"n": 1}'), (2, 0, '2026-01-01Z', now(), '{"n": 2}');
  insert into public.payments (id, provider, provider_id, amount, currency, status, created_at, updated_at)
    values ('${PAYMENT}', 'sandbox', 'p', 1999, 'EUR', 'authorized', '2026-01-01Z', '2026-01-01Z');
  insert into pgmq.q_${QUEUE}_dlq (msg_id, vt, message) overriding system value
    select n, now(), jsonb_build_object('message', n, 'headers', null, 'dead_letter', jsonb_build_object(
      'queue', '${QUEUE}', 'reason', 'unrecoverable', 'origin_key', 'o' || n)) from generate_series(1, 2) n;
  insert into queue_worker.schedules (name, cron, queue, message) values ('hourly', '0 * * * *', '${QUEUE}', '{"n": 3}');
  update queue_worker.schedules set revision = '${REVISION}', ran_until = '2026-01-01Z', next_run_at = '2026-01-01Z' where true;
  insert into public.reports (origin_key, report, params, format, time_zone, state, run)
  values ('running', 'daily_volume', '{"since": "2026-01-01", "until": "2026-02-01", "queue": null}', 'csv', 'UTC', 'running', 'r');
end $$;
`
