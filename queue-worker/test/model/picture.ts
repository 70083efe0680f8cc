/** What the tables of a queue really hold, and what the model says they hold, in one form that can be compared. */
import type { Sql } from 'postgres'
import { expect } from 'vitest'
import { counters } from './model.ts'
import type { State } from './state.ts'

/** One unit of the model's time, in seconds: so long that no test run gets near it by itself. */
export const UNIT_SECONDS = 100_000

export type Picture = {
  queue: {
    label: number
    msgId: string
    delivery: number
    /** Units until it is visible; not positive: it is. */
    visibleIn: number
    failures: number
    interruptions: number
    diedAlone: number
    originKey: string
  }[]
  archive: { label: number; msgId: string; delivery: number }[]
  dead: { label: number; msgId: string; originKey: string; reason: string; deliveries: number }[]
  outcomes: { msgId: string; delivery: number; outcome: string }[]
  alone: { msgId: string; delivery: number }[]
  keys: Record<string, string>
  stats: Record<string, number>
  paused: boolean
}

export async function takePicture(sql: Sql, queue: string): Promise<Picture> {
  const [q, a, d] = [`q_${queue}`, `a_${queue}`, `q_${queue}_dlq`].map((name) => sql(`pgmq.${name}`))
  if (!q || !a || !d) throw new Error('unreachable')
  const none = sql`'[]'::json`
  const [row] = await sql<{ picture: Picture }[]>`select json_build_object(
    'queue', (select coalesce(json_agg(json_build_object('label', (m.message ->> 'n')::int, 'msgId', m.msg_id::text,
        'delivery', m.read_ct, 'failures', h.failures, 'diedAlone', h.died_alone,
        'visibleIn', ceil(extract(epoch from m.vt - clock_timestamp()) / ${UNIT_SECONDS}::int)::int,
        'interruptions', greatest(m.read_ct - 1, 0) - h.recorded,
        'originKey', queue_worker.origin_key(${queue}, m.msg_id, m.enqueued_at)) order by m.msg_id), ${none})
      from ${q} m cross join lateral queue_worker.history(${queue}, m.msg_id, m.enqueued_at, m.read_ct + 1) h),
    'archive', (select coalesce(json_agg(json_build_object('label', (m.message ->> 'n')::int, 'msgId', m.msg_id::text,
        'delivery', m.read_ct) order by m.msg_id), ${none}) from ${a} m),
    'dead', (select coalesce(json_agg(json_build_object('label', (m.message -> 'message' ->> 'n')::int,
        'msgId', m.msg_id::text, 'originKey', m.message -> 'dead_letter' ->> 'origin_key',
        'reason', m.message -> 'dead_letter' ->> 'reason', 'deliveries', (m.message -> 'dead_letter' ->> 'deliveries')::int)
        order by m.msg_id), ${none}) from ${d} m),
    'outcomes', (select coalesce(json_agg(json_build_object('msgId', o.msg_id::text, 'delivery', o.delivery,
        'outcome', o.outcome) order by o.msg_id, o.delivery), ${none}) from queue_worker.outcomes o where o.queue = ${queue}),
    'alone', (select coalesce(json_agg(json_build_object('msgId', i.msg_id::text, 'delivery', i.delivery)
        order by i.msg_id, i.delivery), ${none}) from queue_worker.isolations i where i.queue = ${queue}),
    'keys', (select coalesce(json_object_agg(k.idempotency_key, k.msg_id::text), '{}')
      from queue_worker.sent_keys k where k.queue = ${queue}),
    'stats', (select json_build_object('archive', coalesce(sum(s.archived), 0), 'delete', coalesce(sum(s.deleted), 0),
        'retry', coalesce(sum(s.retried), 0), 'dead', coalesce(sum(s.dead), 0), 'release', coalesce(sum(s.released), 0),
        'snooze', coalesce(sum(s.snoozed), 0)) from queue_worker.stats s where s.queue = ${queue}),
    'paused', (select q.paused from queue_worker.queues q where q.queue = ${queue})) as picture`
  if (row === undefined) throw new Error('there is no picture')
  return row.picture
}

/** Fills in what only the database can know, once; from then on it must stay so. */
export function learn(state: State, picture: Picture): void {
  for (const row of state.rows) {
    const seen =
      picture.queue.find(({ label }) => row.place === 'queue' && label === row.label) ??
      picture.archive.find(({ label }) => row.place === 'archive' && label === row.label)
    row.msgId ??= seen?.msgId ?? null
    row.originKey ??= picture.queue.find((one) => one === seen)?.originKey ?? null
  }
  for (const letter of state.letters) {
    const seen = picture.dead.find(({ label }) => letter.place === 'dead' && label === letter.label)
    letter.msgId ??= seen?.msgId ?? null
  }
}

export function pictureOf(state: State): Picture {
  const rows = state.rows.map((row) => ({ ...row, msgId: row.msgId ?? 'unknown' }))
  const inPlace = (place: 'queue' | 'archive') => byId(rows.filter((row) => row.place === place))
  const idOf = (key: string) => rows.find(({ label }) => label === state.keys[key])?.msgId ?? 'unknown'
  return {
    queue: inPlace('queue').map((row) => ({
      label: row.label,
      msgId: row.msgId,
      delivery: row.delivery,
      visibleIn: row.vt.unit - state.now,
      ...counters(row),
      originKey: row.originKey ?? 'unknown',
    })),
    archive: inPlace('archive').map(({ label, msgId, delivery }) => ({ label, msgId, delivery })),
    dead: byId(
      state.letters
        .filter(({ place }) => place === 'dead')
        .map(({ label, msgId, originKey, reason, deliveries }) => ({
          label,
          msgId: msgId ?? 'unknown',
          originKey: originKey ?? 'unknown',
          reason,
          deliveries,
        })),
    ),
    outcomes: byId(rows).flatMap(({ msgId, outcomes }) =>
      Object.entries(outcomes).map(([delivery, outcome]) => ({ msgId, delivery: Number(delivery), outcome })),
    ),
    alone: byId(rows).flatMap(({ msgId, alone }) =>
      alone.toSorted((a, b) => a - b).map((delivery) => ({ msgId, delivery })),
    ),
    keys: Object.fromEntries(Object.keys(state.keys).map((key) => [key, idOf(key)])),
    stats: state.stats,
    paused: state.paused,
  }
}

/** Tables and model agree; and, of the model's own, nothing has vanished and nobody shares an identity. */
export function expectAgreement(state: State, picture: Picture, labels: number): void {
  learn(state, picture)
  expect(picture).toEqual(pictureOf(state))
  const kept = [...picture.queue, ...picture.archive, ...picture.dead].map(({ label }) => label)
  const ended = [
    ...state.rows.filter(({ place }) => place === 'deleted'),
    ...state.letters.filter(({ place }) => place === 'discarded'),
  ].map(({ label }) => label)
  const sent = new Set(state.rows.map(({ label }) => label))
  expect(
    [...kept, ...ended].toSorted((a, b) => a - b),
    'each message is in exactly one place',
  ).toEqual([...sent].toSorted((a, b) => a - b))
  expect(labels).toBeGreaterThanOrEqual(sent.size)
  const keys = new Map(state.rows.map(({ label, originKey }) => [label, originKey]))
  expect(new Set(keys.values()).size, 'each message has an origin key of its own').toBe(keys.size)
}

function byId<T extends { msgId: string }>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => Number(a.msgId) - Number(b.msgId))
}
