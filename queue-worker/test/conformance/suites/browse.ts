/** What a dashboard lists beside queues: the past of a schedule, and the reports that were asked for. */
import { expect, test } from 'vitest'
import type { Suite } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

export const browseSuite: Suite = (bench) => {
  test('a schedule has its last runs, the newest first, with what became of their messages', async () => {
    const queue = await bench().newQueue()
    const { sql } = bench()
    expect(await bench().queue.schedulePast(queue)).toBe(null)
    await sql`insert into queue_worker.schedules (name, cron, timezone, queue, message, enabled)
      values (${queue}, '0 3 * * *', 'Europe/Berlin', ${queue}, '{"n": 1}', false)`
    const told = { name: queue, cron: '0 3 * * *', timezone: 'Europe/Berlin', queue, message: { n: 1 } }
    expect(await bench().queue.schedulePast(queue)).toMatchObject({
      ...told,
      ...{ enabled: false, missed: 'one', nextRunAt: null, lastError: null, ticks: [] },
    })
    for (let run = 0; run < 2; run += 1)
      await bench().queue.act({ action: 'run_schedule', name: queue }, 'ann')
    const [first, second] = await bench().look.messages(queue)
    await sql`select pgmq.archive(${queue}, ${first?.msg_id ?? null}::bigint)`
    const past = await bench().queue.schedulePast(queue)
    expect(past?.ticks.map(({ msgId, state }) => [msgId, state])).toEqual([
      [second?.msg_id, 'waiting'],
      [first?.msg_id, 'archived'],
    ])
    await sql`delete from queue_worker.schedules where name = ${queue}`
  })

  test('reports are listed page by page, also those asked for at the same time', async () => {
    const mark = uniqueQueue('key')
    const { sql } = bench()
    const asked = ['a', 'b', 'c'].map((one) => `${mark}-${one}`)
    // Newer than what other tests ask for.
    await sql`insert into public.reports (origin_key, report, params, format, title, time_zone, state, run, requested_at)
      select k, 'daily', '{}', 'pdf', 'Daily', 'UTC', 'running', 'r', '2199-01-01T00:00:00.123456Z' from unnest(${asked}::text[]) k`
    const first = await bench().queue.recentReports({ limit: 2 })
    expect(first.map(({ originKey }) => originKey)).toEqual([`${mark}-c`, `${mark}-b`])
    const [line] = first
    expect(line).toMatchObject({
      report: 'daily',
      title: 'Daily',
      format: 'pdf',
      state: 'running',
      rows: null,
    })
    const [next] = await bench().queue.recentReports({ before: first[1], limit: 1 })
    expect(next?.originKey).toBe(`${mark}-a`)
    await sql`delete from public.reports where origin_key = any (${asked})`
  })
}
