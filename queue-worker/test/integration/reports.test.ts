/** The reports processor in a worker on both transports: what a message may ask for, and what becomes of it. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { LeaseLostError } from '../../src/errors.ts'
import { createReportRecords } from '../../src/processors/report-records.ts'
import { reports } from '../../src/processors/reports-configured.ts'
import { createFileFolder } from '../../src/services/file-folder.ts'
import { connectSupabase } from '../../src/services/supabase.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { createContext } from '../support/context.ts'
import { openReportBench, type ReportBench } from '../support/reports.ts'
import { openTransport } from '../support/transports.ts'
import { type TestWorker, testWorker, until } from '../support/worker.ts'

const LOCK = 7_301_956

describe.each(['rpc', 'postgres'] as const)('reports over %s', (kind) => {
  let bench: ReportBench
  let worker: TestWorker | null = null
  beforeAll(async () => {
    bench = await openReportBench(kind)
    await bench.sql.unsafe(`create table if not exists public.not_to_be_written (n int)`)
  })
  afterEach(async () => {
    await worker?.stop('the test is over', { hurry: true })
    worker = null
  })
  afterAll(async () => {
    await bench.sql.unsafe('drop table if exists public.not_to_be_written')
    await bench.close()
  })

  test('a report becomes a file, a record and a mail', async () => {
    const report = await bench.define(
      'since date, note text default null, wanted int[] default null',
      'table (id bigint, amount numeric, at timestamptz, day date, ok boolean, extra jsonb, "the text" text)',
      `begin return query values
        (9007199254740993::bigint, 123456789012345678.90::numeric, timestamptz '2026-11-24T00:30:00.25Z', since, true, '{"a": 1}'::jsonb, 'Привет, "мир"'),
        (-1::bigint, null, null, null, false, null, '=1+1');
      end`,
      'Sales of the week\nWhat was sold.',
    )
    worker = testWorker(kind, [bench.processor()])
    await worker.start()
    const [id = ''] = await bench.send({
      report,
      params: { since: '2026-11-01', wanted: [1, 2] },
      format: 'csv',
      timeZone: 'Europe/Moscow',
      deliver: { to: 'ann@example.com', text: 'Here it is.' },
    })
    await bench.untilDone(id)
    const [record] = await bench.records(report)
    const content = await readFile(record?.location ?? '')
    expect(content.toString()).toBe(
      'id,amount,at,day,ok,extra,the text\r\n' +
        '9007199254740993,123456789012345678.90,2026-11-24 03:30:00.25,2026-11-01,true,"{""a"": 1}","Привет, ""мир"""\r\n' +
        "-1,,,,false,,'=1+1\r\n",
    )
    expect(record).toMatchObject({
      state: 'done',
      title: 'Sales of the week',
      rows: '2',
      bytes: String(content.length),
      sha256: createHash('sha256').update(content).digest('hex'),
      params: { since: '2026-11-01', note: null, wanted: '{1,2}' },
      error: null,
    })
    const [mail, ...more] = await bench.mails()
    expect(more).toEqual([])
    expect(mail).toMatchObject({ to: 'ann@example.com', subject: 'Sales of the week' })
    expect(mail?.text).toMatch(/^Here it is\.\n\nAttached: \S+\.csv, 2 rows, \d+ bytes\n$/)
    expect(mail?.attachments?.[0]).toMatchObject({
      filename: `${report}.csv`,
      contentType: 'text/csv; charset=utf-8',
    })
    expect(Buffer.from(mail?.attachments?.[0]?.contentBase64 ?? '', 'base64')).toEqual(content)
  })

  test('what cannot be run is a dead letter that says what is wrong', async () => {
    const report = await bench.define('n int', 'table (a int)', 'begin return query select n; end')
    const open = await bench.define('', 'setof record', 'begin return; end')
    worker = testWorker(kind, [bench.processor()])
    await worker.start()
    const tries: [object, RegExp][] = [
      [{ report: `${report}_not` }, /there is no report ".*_not"; known are: .*daily_volume/],
      [{ report: 'pg_sleep', params: { x: 1 } }, /there is no report "pg_sleep"/],
      [{ report: 'x; drop table y' }, /report must be the name of a function in schema reports/],
      [{ report }, /parameter "n" \(integer\) is missing/],
      [{ report, params: { n: 'many' } }, /parameter "n" is no integer: invalid input syntax .*"many"/],
      [{ report, params: { n: 1, m: 2 } }, /this report has no parameter "m"; it takes: n integer/],
      [{ report, params: { n: { x: 1 } } }, /parameter "n" is no integer/],
      [
        { report, params: { n: 1 }, timeZone: 'Mars/Olympus' },
        /invalid value for parameter "TimeZone": "Mars\/Olympus"/,
      ],
      [{ report: open }, /does not say which columns it returns.*returns table/],
      [{ report, params: { n: 1 }, format: 'docx' }, /format must be one of csv, xlsx, pdf, json/],
      [{ report, params: { n: 1 }, deliver: { to: 'nobody' } }, /"nobody" is not an e-mail address/],
    ]
    const ids = await bench.send(...tries.map(([message]) => ({ format: 'csv', ...message })))
    for (const [index, id] of ids.entries()) {
      const error = expect.stringMatching(tries[index]?.[1] ?? /^$/)
      expect(await bench.deadLetter(id), `message ${index}`).toMatchObject({ attempts: 1, error })
    }
    const failed = (await bench.records(report)).filter(({ state }) => state === 'failed')
    expect(failed.map(({ error }) => error)).toContainEqual(
      expect.stringMatching(/parameter "n" \(integer\) is missing/),
    )
  })

  test('a report that writes is stopped, however it tries, and tried again as any failure', async () => {
    const ways = [
      'insert into public.not_to_be_written values (1)',
      `perform set_config('transaction_read_only', 'off', true); insert into public.not_to_be_written values (1)`,
      `begin insert into public.not_to_be_written values (1); exception when others then raise 'kept'; end`,
      `perform pgmq.send('${bench.queue}', '{}')`,
    ]
    const names = []
    for (const way of ways) {
      names.push(await bench.define('', 'table (a int)', `begin ${way}; return query select 1; end`))
    }
    worker = testWorker(kind, [bench.processor()])
    await worker.start()
    const ids = await bench.send(...names.map((report) => ({ report, format: 'csv' })))
    for (const id of ids) {
      expect(await bench.deadLetter(id)).toMatchObject({
        reason: 'attempts_exhausted',
        error: expect.stringMatching(/the report ".*" failed: .*(read-only|kept)/),
      })
    }
    expect(await bench.sql`select * from public.not_to_be_written`).toEqual([])
    for (const { state } of await bench.records(...names)) expect(state).toBe('failed')
  })

  test('a redelivery finds the file and makes it again only when it is gone or another', async () => {
    const report = await bench.define(
      '',
      'table (made_at timestamptz)',
      'begin return query select clock_timestamp(); end',
    )
    const processor = bench.processor()
    const { context } = createContext({ originKey: randomBytes(16).toString('hex') })
    const payload = processor.payload.parse({ report, format: 'json' })
    const sha = async () => (await bench.records(report))[0]?.sha256
    await processor.process(payload, context)
    const first = await sha()
    await processor.process(payload, context)
    expect(await sha()).toBe(first)
    const [record] = await bench.records(report)
    await rm(record?.location ?? '')
    await processor.process(payload, context)
    expect(await sha()).not.toBe(first)
    expect((await bench.files()).filter((name) => name.includes(report))).toHaveLength(1)
    expect(await bench.records(report)).toHaveLength(1)
    await processor.close?.()
  })

  test('a mail that cannot be sent is tried again with the same file', async () => {
    const report = await bench.define('', 'table (a int)', 'begin return query select 1; end')
    worker = testWorker(kind, [bench.processor({ emailQueue: `${bench.emailQueue}_not` })])
    await worker.start()
    const [id = ''] = await bench.send({ report, format: 'csv', deliver: { to: 'ann@example.com' } })
    expect(await bench.deadLetter(id)).toMatchObject({ error: expect.stringMatching(/_not/) })
    const [record] = await bench.records(report)
    expect(record).toMatchObject({ state: 'done' })
    expect(await bench.files()).toContain(basename(record?.location ?? ''))
  })

  test('a run that was overtaken by another changes nothing', async () => {
    const report = await bench.define('', 'table (a int)', 'begin return query select 1; end')
    const processor = bench.processor()
    const { context } = createContext({ originKey: randomBytes(16).toString('hex') })
    const storage = createFileFolder(bench.folder)
    const other = { originKey: context.originKey, run: 'the other' }
    const transport = openTransport(kind, inject('stack'))
    const records = createReportRecords(transport.call)
    const slow = bench.processor({
      storage: {
        ...storage,
        // While its file is put in place, another delivery of the message starts.
        async publish(...given) {
          const asked = { ...processor.payload.parse({ report, format: 'json' }), timeZone: 'UTC' }
          await records.start(other, asked, false)
          return storage.publish(...given)
        },
      },
    })
    const payload = slow.payload.parse({ report, format: 'json' })
    await expect(slow.process(payload, context)).rejects.toThrow(LeaseLostError)
    expect((await bench.records(report))[0]).toMatchObject({ state: 'running', run: other.run, error: null })
    await Promise.all([processor.close?.(), slow.close?.(), transport.close()])
  })

  test('a time limit ends the report, at the server over a direct connection', async () => {
    const report = await bench.define(
      '',
      'table (a int)',
      'begin perform pg_sleep(4); return query select 1; end',
    )
    worker = testWorker(kind, [
      bench.processor({
        statementTimeoutMs: 300,
        ...(kind === 'rpc' ? { transport: impatient(300) } : {}),
      }),
    ])
    await worker.start()
    const [id = ''] = await bench.send({ report, format: 'csv' })
    expect(await bench.deadLetter(id)).toMatchObject({
      error: expect.stringMatching(/REPORTS_STATEMENT_TIMEOUT_MS/),
    })
    if (kind === 'postgres') {
      await until('the server runs it no more', async () => {
        const running =
          await bench.sql`select 1 from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query ~ 'fetch next'`
        return running.length === 0
      })
    }
    expect((await bench.files()).filter((name) => name.includes(report))).toEqual([])
  })

  test('many rows keep their order and number', async () => {
    const report = await bench.define(
      'n int',
      'table (a int, filler text)',
      `begin return query select g, repeat('x', 200) from generate_series(1, n) g; end`,
    )
    worker = testWorker(kind, [bench.processor()], { queue: { visibilityTimeoutSeconds: 2 } })
    await worker.start()
    const [id = ''] = await bench.send({ report, params: { n: 50_000 }, format: 'csv' })
    await bench.untilDone(id)
    const [record] = await bench.records(report)
    const lines = (await readFile(record?.location ?? '', 'utf8')).trimEnd().split('\r\n').slice(1)
    expect(lines.length).toBe(50_000)
    expect(lines.every((line, at) => line.startsWith(`${at + 1},`))).toBe(true)
    expect(record?.rows).toBe('50000')
    expect(worker.events.filter(({ name }) => name === 'leaseLost')).toEqual([])
  })

  test('as many run at once as REPORTS_CONCURRENCY says', async () => {
    const report = await bench.define(
      '',
      'table (a int)',
      `begin perform pg_advisory_xact_lock_shared(${LOCK}); return query select 1; end`,
    )
    const config = loadConfig({
      ...connectionEnv(kind, inject('stack')),
      ...{ REPORTS_DIR: bench.folder, REPORTS_CONCURRENCY: '5' },
    })
    const processor = { ...reports(config, bench.queue, 'email_queue'), concurrency: 5 }
    worker = testWorker(kind, [processor])
    await worker.start()
    const ids: string[] = []
    await bench.sql.begin(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`
      ids.push(...(await bench.send(...Array.from({ length: 5 }, () => ({ report, format: 'csv' })))))
      await until('five wait for the lock', async () => {
        const waiting =
          await bench.sql`select from pg_locks where locktype = 'advisory' and not granted and objid = ${LOCK}`
        return waiting.length === 5
      })
    })
    await bench.untilDone(...ids)
  })

  test('the reports that are shipped run with what they have by default', async () => {
    worker = testWorker(kind, [bench.processor()])
    await worker.start()
    const names = ['daily_volume', 'failures', 'processing_times']
    const ids = await bench.send(
      ...names.map((report) => ({ report, format: 'json', params: { queue: bench.queue } })),
    )
    await bench.untilDone(...ids)
    for (const name of names) {
      const [file = ''] = (await bench.files()).filter((one) => one.startsWith(`${name}-`))
      const rows = JSON.parse(await readFile(join(bench.folder, file), 'utf8'))
      expect(rows.length, name).toBeGreaterThan(0)
      for (const row of rows) expect(row.queue_name).toBe(bench.queue)
      await bench.sql`delete from public.reports where report = ${name} and params ->> 'queue' = ${bench.queue}`
    }
  })
})

/** A client that waits no longer than this. */
function impatient(requestTimeoutMs: number) {
  const { url, secretKey } = inject('stack')
  return connectSupabase({ url, key: secretKey, requestTimeoutMs })
}
