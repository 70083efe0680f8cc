/** Messages that have lived: sent, read and settled over the protocol as a worker does it, so that each is in the state it is meant to be in. */
import type { Sql } from 'postgres'
import type { Outcome, Queue, SendOptions } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'

export type Life = {
  readonly payload: object
  /** How its deliveries end, one after the other: after the last of them it is left alone. `hold`: it stays in flight. */
  readonly outcomes?: readonly (Outcome | 'hold')[]
  readonly send?: SendOptions
  readonly ranMs?: number
  readonly waitedMs?: number
}

export const archive: Outcome = { kind: 'archive' }
export const failed = (error: string, delayMs = 0): Outcome => ({ kind: 'retry', delayMs, error })
export const died = (
  error: string,
  reason: Extract<Outcome, { kind: 'dead' }>['reason'] = 'unrecoverable',
  attempts = 1,
): Outcome => ({ kind: 'dead', reason, error, attempts })

/** Returns their ids, in order. Those that are delivered come first, so that nothing else is read. */
export async function live(
  queue: Queue,
  name: string,
  lives: readonly Life[],
  workerId = 'worker-1',
): Promise<string[]> {
  const ids = new Map<Life, string>()
  const send = async (some: readonly Life[]) => {
    if (some.length === 0) return
    const sent = await queue.send(some.map((one) => ({ queue: name, message: one.payload, ...one.send })))
    for (const [index, one] of some.entries()) ids.set(one, sent[index]?.msgId ?? '')
  }
  const delivered = lives.filter(({ outcomes = [] }) => outcomes.length > 0)
  await send(delivered)
  const byId = new Map(delivered.map((one) => [ids.get(one), one]))
  const rounds = Math.max(0, ...delivered.map(({ outcomes = [] }) => outcomes.length))
  for (let round = 0; round < rounds; round++) {
    const demand = { queue: name, limit: 500, visibilityTimeoutSeconds: 300 }
    const { messages } = await queue.read([demand], 8 * 1024 * 1024)
    const settlements = messages.flatMap((message) => settlementOf(message, byId.get(message.msgId)))
    for (const { status, error } of await queue.settle(settlements, workerId))
      if (status !== 'ok')
        throw new Error(`a message did not live as it was meant to: ${status} ${error ?? ''}`)
  }
  await send(lives.filter((one) => !delivered.includes(one)))
  return lives.map((one) => ids.get(one) ?? '')
}

function settlementOf(message: Message, life: Life | undefined) {
  const outcome = life?.outcomes?.[message.delivery - 1]
  if (outcome === undefined || outcome === 'hold') return []
  return [{ receipt: message, outcome, ranMs: life?.ranMs ?? 120, waitedMs: life?.waitedMs ?? 40 }]
}

export type Past = {
  readonly hours: number
  /** Of a usual minute. */
  readonly perMinute: number
  readonly failures?: number
  readonly ranMs?: number
}

/** What the stats of a queue would be, had it worked for so long: more by day than by night, with a bad half hour. */
export async function past(sql: Sql, name: string, { hours, perMinute, failures = 0.01, ranMs = 180 }: Past) {
  await sql`
    insert into queue_worker.stats (queue, minute, backend, archived, retried, dead, ran_ms, ran_ms_max, waited_ms, waited_ms_max)
    select ${name}, m.minute, -1, d.done, d.failed, d.died, ran.ms * (d.done + d.failed + d.died), ran.ms * (3 + 4 * abs(sin(m.n * 0.7))),
      waited.ms * (d.done + d.failed + d.died), waited.ms * (4 + 3 * abs(cos(m.n * 0.9)))
    from (select date_trunc('minute', clock_timestamp()) - make_interval(mins => n) as minute, n from generate_series(1, ${hours * 60}::int) n) m
    cross join lateral (select (0.65 + 0.35 * sin(extract(epoch from m.minute) / 86400 * 2 * pi() - 2)) * (0.85 + 0.3 * abs(sin(m.n * 1.7)))
      * ${perMinute}::float8 as load, m.n between 20 and 34 as is_bad) l
    cross join lateral (select round(l.load)::int as done, round(l.load * case when l.is_bad then 0.25 else ${failures}::float8 end * abs(sin(m.n * 2.3)))::int as failed,
      case when l.is_bad and m.n % 4 = 0 then 1 + m.n % 3 else 0 end as died) d
    cross join lateral (select ${ranMs}::float8 * (0.8 + 0.4 * abs(sin(m.n * 0.37))) * case when l.is_bad then 3 else 1 end as ms) ran
    cross join lateral (select ran.ms * case when l.is_bad then 9 else 0.4 end as ms) waited
    on conflict do nothing`
  await sql`
    insert into queue_worker.arrivals (queue, minute, last_id, sampled_at)
    select ${name}, s.minute, 1e6::bigint + sum(s.archived + s.dead) over (order by s.minute), s.minute
    from queue_worker.stats s where s.queue = ${name} and s.backend = -1 on conflict do nothing`
  // So that the ids go on from there: what was sent is told by them.
  await sql`select setval(pg_get_serial_sequence('pgmq.q_' || ${name}, 'msg_id'),
    (select max(last_id) from queue_worker.arrivals where queue = ${name}))`
}
