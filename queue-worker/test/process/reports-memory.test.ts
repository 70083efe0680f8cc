/** How much memory a large report takes from a worker's process, as the kernel counts it: hardly more than a small one does. */
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Cli, endAll, folder, removeFolder, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { openReportBench, type ReportBench } from '../support/reports.ts'
import { reportsModule } from '../support/reports-module.ts'

/** Enough for garbage that V8 has not collected yet; the rows alone are 60 MB and more, as text. */
const GROWTH_MB = 55
const ROWS = 600_000
/** What is promised for a million rows, the worker itself included; `node bench/reports.ts` makes a million. */
const PROMISED_MB = 200

describe.skipIf(process.platform !== 'linux').each(['rpc', 'postgres'] as const)('over %s', (kind) => {
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

  const kilobytes = async ({ pid }: Cli, name: 'VmRSS' | 'VmHWM') =>
    Number(
      new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1],
    )

  test.each(['csv', 'xlsx'])('%s', { timeout: 300_000 }, async (format) => {
    const report = await bench.define(
      'n int',
      'table (id bigint, at timestamptz, customer text, amount numeric, note text)',
      `begin return query select g::bigint, now() + g * interval '1 second', 'Customer ' || g % 1000, g / 100.0,
        repeat('note ', g % 20) from generate_series(1, n) g; end`,
    )
    const worker = start(['worker'], {
      cwd,
      env: { ...connectionEnv(kind, inject('stack')), PROCESSORS: 'processors' },
    })
    await worker.says(/ reads /)
    const made = async (n: number) =>
      bench.untilDone(...(await bench.send({ report, params: { n }, format })))
    await made(100)
    const before = await kilobytes(worker, 'VmRSS')
    await writeFile(`/proc/${worker.pid}/clear_refs`, '5') // the peak begins anew
    await made(ROWS)
    const peak = await kilobytes(worker, 'VmHWM')
    expect((peak - before) / 1024).toBeLessThan(GROWTH_MB)
    expect(peak / 1024).toBeLessThan(PROMISED_MB)
    const [small, large] = await bench.records(report)
    expect([small?.rows, large?.rows]).toEqual(['100', String(ROWS)])
  })
})
