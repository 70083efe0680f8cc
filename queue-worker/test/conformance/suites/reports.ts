/** Reports as every transport, role and version of PostgreSQL must run them: recorded, of one moment, read-only. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { reportPayload } from '../../../src/processors/report-payload.ts'
import { createReportRecords } from '../../../src/processors/report-records.ts'
import { readRows } from '../../../src/processors/report-rows.ts'
import type { Bench, Suite } from '../../support/bench.ts'

/** Makes a report for the time of one test. */
async function withReport(bench: Bench, body: string, run: (name: string) => Promise<void>): Promise<void> {
  const name = `c_${randomBytes(6).toString('hex')}`
  await bench.sql.unsafe(
    `create function reports.${name}(n int default 3) returns table (a bigint, "b c" timestamptz) language plpgsql as $$ begin ${body}; end $$`,
  )
  try {
    await run(name)
  } finally {
    await bench.sql.unsafe(
      `drop function reports.${name}; delete from public.reports where report = '${name}'`,
    )
  }
}

function parts({ transport }: Bench, report: string, params: Record<string, unknown> = {}) {
  const records = createReportRecords(transport.call)
  const of = { originKey: randomBytes(16).toString('hex'), run: 'first' }
  const asked = { ...reportPayload.parse({ report, params, format: 'csv' }), timeZone: 'Asia/Tokyo' }
  const read = async (run = of.run) => {
    const pages: string[] = []
    const take = async (lines: string) => void pages.push(lines)
    await readRows(
      { ...of, run },
      { transport, statementTimeoutMs: 20_000 },
      new AbortController().signal,
      take,
    )
    return JSON.parse(`[${pages.join()}]`)
  }
  return { records, of, asked, read }
}

export const reportSuite: Suite = (source) => {
  test('a report is started, read and recorded; another run takes over', async () => {
    const bench = source()
    const body = `return query select g * 9007199254740993, timestamptz '2026-11-24T00:00:00Z' from generate_series(1, n) g`
    await withReport(bench, body, async (name) => {
      const { records, of, asked, read } = parts(bench, name, { n: 2 })
      expect(await records.start(of, asked, false)).toEqual({
        ...{ state: 'running', about: null, params: { n: '2' } },
        columns: [
          { name: 'a', type: 'bigint' },
          { name: 'b c', type: 'timestamp with time zone' },
        ],
      })
      const rows = [
        ['9007199254740993', '2026-11-24 09:00:00+09'],
        ['18014398509481986', '2026-11-24 09:00:00+09'],
      ]
      expect(await read()).toEqual(rows)
      const next = { ...of, run: 'second' }
      await records.start(next, asked, false)
      const file = { rows: 2, bytes: 5, sha256: 'x', location: 'y', title: 't' }
      expect(await records.finish(of, file)).toBe(false)
      expect(await records.fail(of, 'late')).toBe(false)
      await expect(read()).rejects.toThrow(/this run of the report is over/)
      expect(await read(next.run)).toEqual(rows)
      expect(await records.finish(next, file)).toBe(true)
      expect(await records.finish(next, file)).toBe(true)
      expect(await records.start(of, asked, false)).toEqual({ state: 'done', ...file })
    })
  })

  test('many rows come whole and in order', async () => {
    const bench = source()
    await withReport(
      bench,
      'return query select g::bigint, null::timestamptz from generate_series(1, n) g',
      async (name) => {
        const { records, of, asked, read } = parts(bench, name, { n: 30_000 })
        await records.start(of, asked, false)
        const rows: string[][] = await read()
        expect(rows.length).toBe(30_000)
        expect(rows.every(([a], at) => a === String(at + 1))).toBe(true)
      },
    )
  })

  test('a report cannot write, and what it may not do is told', async () => {
    const bench = source()
    const tries = [
      'create table public.never (n int)',
      `perform set_config('transaction_read_only', 'off', true)`,
      `perform nextval('pgmq.q_none')`,
      `update public.reports set state = 'done'`,
    ]
    for (const body of tries) {
      await withReport(bench, body, async (name) => {
        const { records, of, asked, read } = parts(bench, name)
        await records.start(of, asked, false)
        await expect(read(), body).rejects.toThrow(/the report "c_\w+" failed: /)
      })
    }
    const refused = parts(bench, 'pg_sleep', { seconds: 1 })
    expect(await refused.records.start(refused.of, refused.asked, false)).toMatchObject({
      state: 'refused',
      error: expect.stringMatching(/there is no report "pg_sleep"; known are: .*failures/),
    })
    await bench.sql`delete from public.reports where origin_key = ${refused.of.originKey}`
  })

  test('a period that begins after its end is refused, instead of an empty file', async () => {
    const bench = source()
    const started = async (report: string, params: Record<string, unknown>) => {
      const { records, of, asked } = parts(bench, report, params)
      const { state, ...rest } = await records.start(of, asked, false)
      await bench.sql`delete from public.reports where origin_key = ${of.originKey}`
      return [state, 'error' in rest ? rest.error : null]
    }
    for (const report of ['daily_volume', 'failures', 'processing_times']) {
      expect(await started(report, { since: '2026-11-02', until: '2026-11-01' })).toEqual([
        'refused',
        expect.stringMatching(/the period begins \(since: 2026-11-02\) after its end \(until: 2026-11-01\)/),
      ])
      expect(await started(report, { since: '2999-01-01' })).toEqual([
        'refused',
        expect.stringContaining('(since: 2999-01-01) after its end'),
      ])
      expect(await started(report, { since: '2026-11-02', until: '2026-11-02' })).toEqual(['running', null])
      expect(await started(report, { since: '-infinity', until: 'infinity' })).toEqual(['running', null])
    }
  })

  test.each(['daily_volume', 'failures', 'processing_times'])(
    'the example report %s runs for whoever is a worker, whatever the period',
    async (report) => {
      const bench = source()
      const { records, of, asked, read } = parts(bench, report, {
        since: '-infinity',
        until: 'infinity',
        queue: 'no such queue',
      })
      await records.start(of, asked, false)
      expect(await read()).toEqual([])
      await bench.sql`delete from public.reports where origin_key = ${of.originKey}`
    },
  )

  test.each(['08006', '40P01', '53300', '55P03', '57P01'])(
    'a passing trouble (%s) with a parameter refuses nothing: the call fails, and works when it has passed',
    async (state) => {
      const bench = source()
      const name = `c_${randomBytes(6).toString('hex')}`
      await bench.sql.unsafe(`
        create table reports.${name}_down (n int);
        insert into reports.${name}_down values (1);
        create function reports.${name}_up(n int) returns boolean language plpgsql as $$ begin
          if exists (select from reports.${name}_down) then raise 'not now' using errcode = '${state}'; end if;
          return true; end $$;
        create domain reports.${name}_kind as int check (reports.${name}_up(value));
        create function reports.${name}(given reports.${name}_kind default 5, up boolean default reports.${name}_up(1))
          returns table (a int) language sql as 'select 1'`)
      try {
        for (const params of [{ given: 5, up: true }, { given: null }]) {
          const { records, of, asked } = parts(bench, name, params)
          await expect(records.start(of, asked, false), JSON.stringify(params)).rejects.toThrow('not now')
          await bench.sql.unsafe(`delete from reports.${name}_down`)
          expect(await records.start(of, asked, false)).toMatchObject({ state: 'running' })
          await bench.sql.unsafe(`insert into reports.${name}_down values (1)`)
        }
      } finally {
        await bench.sql.unsafe(`
          drop function reports.${name}; drop domain reports.${name}_kind; drop function reports.${name}_up;
          drop table reports.${name}_down; delete from public.reports where report = '${name}'`)
      }
    },
  )

  test('a parameter that can never be made is refused for good', async () => {
    const bench = source()
    const name = `c_${randomBytes(6).toString('hex')}`
    await bench.sql.unsafe(`
      create table reports.${name}_t (n int);
      create function reports.${name}_bad() returns int language plpgsql as $$ begin insert into reports.${name}_t values (1); return 1; end $$;
      create function reports.${name}(n int default reports.${name}_bad()) returns table (a int) language sql as 'select 1'`)
    try {
      const started = async (params: Record<string, unknown>) => {
        const { records, of, asked } = parts(bench, name, params)
        return records.start(of, asked, false)
      }
      const refused = (error: RegExp) => ({ state: 'refused', error: expect.stringMatching(error) })
      expect(await started({ n: 'many' })).toMatchObject(refused(/parameter "n" is no integer/))
      expect(await started({})).toMatchObject(
        refused(/the default of parameter "n" cannot be used: .*read-only/),
      )
    } finally {
      await bench.sql.unsafe(`
        drop function reports.${name}; drop function reports.${name}_bad; drop table reports.${name}_t;
        delete from public.reports where report = '${name}'`)
    }
  })
}
