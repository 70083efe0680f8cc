/** A worker process is killed in the middle of a report; the next one leaves one file, one record and one mail. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Cli, endAll, folder, removeFolder, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { untilBlockedBy } from '../support/queues.ts'
import { openReportBench, type ReportBench } from '../support/reports.ts'
import { reportsModule } from '../support/reports-module.ts'
import { until } from '../support/worker.ts'

const LOCK = 7_301_955

describe.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  let bench: ReportBench
  let cwd: string
  beforeAll(async () => {
    bench = await openReportBench(kind)
    cwd = await folder()
    await reportsModule(cwd, kind, bench)
  })
  afterEach(() => endAll())
  afterAll(async () => {
    await bench.close()
    await removeFolder(cwd)
  })

  const worker = (): Cli =>
    start(['start'], {
      cwd,
      env: {
        ...connectionEnv(kind, inject('stack')),
        PROCESSORS: 'processors',
        WORKER_VISIBILITY_TIMEOUT_SECONDS: '2',
      },
    })

  /** Kills a worker while a transaction of the test's holds what it waits for, then lets another end the work. */
  async function killedAt(
    report: string,
    hold: (sql: Sql) => Promise<unknown>,
    reached: (sql: Sql) => Promise<unknown>,
  ) {
    const before = { mails: (await bench.mails()).length, files: await bench.files() }
    const done = (await bench.look.archived(bench.queue)).length
    const killed = worker()
    await killed.says(/ reads /)
    await bench.sql.begin(async (sql) => {
      await hold(sql as unknown as Sql)
      await bench.send({ report, format: 'csv', deliver: { to: 'ann@example.com' } })
      await reached(sql as unknown as Sql)
      killed.signal('SIGKILL')
      await killed.ended
    })
    const second = worker()
    await until(
      'the message is done',
      async () => (await bench.look.archived(bench.queue)).length > done,
      60_000,
    )
    await second.says(/ reads /)
    second.signal('SIGTERM')
    expect(await second.ended).toBe(0)
    const records = await bench.records(report)
    expect(records).toMatchObject([{ state: 'done', rows: '3' }])
    const files = (await bench.files()).filter((name) => !before.files.includes(name))
    expect(files).toEqual([expect.stringMatching(new RegExp(`^${report}-[0-9a-f]{32}\\.csv$`))])
    expect(await readFile(join(bench.folder, files[0] ?? ''), 'utf8')).toBe('a\r\n1\r\n2\r\n3\r\n')
    expect((await bench.mails()).length).toBe(before.mails + 1)
    expect(
      await bench.sql`select * from queue_worker.report_pages where origin_key = ${records[0]?.origin_key ?? ''}`,
    ).toEqual([])
  }

  const rows = (before = '') =>
    bench.define(
      '',
      'table (a int)',
      `begin ${before} return query select g from generate_series(1, 3) g; end`,
    )

  /** Waits until a file of the report is there, whole or begun. */
  const fileOf = (pattern: RegExp) =>
    until(`there is a file ${pattern}`, async () => (await bench.files()).some((name) => pattern.test(name)))

  /** The backend that holds the test's transaction. */
  const backend = async (sql: Sql) => (await sql`select pg_backend_pid() as pid`)[0]?.pid as number

  test('while the report runs and its file is begun', async () => {
    const report = await rows(`perform pg_advisory_xact_lock_shared(${LOCK});`)
    let pid = 0
    await killedAt(
      report,
      async (sql) => {
        pid = await backend(sql)
        await sql`select pg_advisory_xact_lock(${LOCK})`
      },
      async () => {
        await untilBlockedBy(bench.sql, pid)
        await fileOf(new RegExp(`^\\.${report}-.*\\.part$`))
      },
    )
  })

  test('when the file is in its place and nothing has recorded that', async () => {
    const report = await rows(`perform pg_advisory_xact_lock_shared(${LOCK});`)
    await killedAt(
      report,
      (sql) => sql`select pg_advisory_lock(${LOCK})`,
      async (sql) => {
        const pid = await backend(sql)
        await untilBlockedBy(bench.sql, pid)
        // Its record is held from here on, and the report goes on: to the moment when the record is to be written.
        await sql`select 1 from public.reports where report = ${report} for update`
        await sql`select pg_advisory_unlock(${LOCK})`
        await fileOf(new RegExp(`^${report}-`))
        await untilBlockedBy(bench.sql, pid)
      },
    )
  })

  test('when all is recorded and only the settle is missing', async () => {
    const report = await rows()
    let pid = 0
    await killedAt(
      report,
      async (sql) => {
        pid = await backend(sql)
        // The mail cannot be sent, so the settle that carries it waits, and may or may not get through after the kill.
        await sql.unsafe(`lock table pgmq."q_${bench.emailQueue}" in exclusive mode`)
      },
      async () => {
        await until('it is recorded', async () => (await bench.records(report))[0]?.state === 'done')
        await untilBlockedBy(bench.sql, pid)
      },
    )
  })
})
