/** The processor of reports as the settings ask for it. */
import type { Config } from '../config.ts'
import { SetupError } from '../errors.ts'
import { createFileFolder } from '../services/file-folder.ts'
import type { FileStorage } from '../services/storage.ts'
import { createFileBucket } from '../services/supabase-storage.ts'
import type { Processor } from './define.ts'
import { ownConnection } from './own-connection.ts'
import { REPORTS_AT_ONCE, reportsProcessor } from './reports.ts'

/** What a call may take besides the report's own statement. */
const MARGIN_MS = 10_000

/** It has a connection of its own, as a report may take longer than the worker's other calls. */
export function reports(config: Config, queue: string, emailQueue: string): Processor {
  const own = ownConnection(config, {
    rpcTimeoutMs: config.reports.statementTimeoutMs + MARGIN_MS,
    // Each report that runs keeps one busy.
    connections: config.overrides.REPORTS?.override.concurrency ?? REPORTS_AT_ONCE,
  })
  return reportsProcessor({
    ...config.reports,
    connect: own.current,
    close: own.close,
    storage: openStorage(config),
    queue,
    emailQueue,
  })
}

/** Where reports are kept. @throws SetupError when nothing says so. */
export function openStorage({ reports, supabase, connection }: Config): FileStorage {
  if (reports.dir !== undefined) return createFileFolder(reports.dir)
  if (reports.bucket === undefined || supabase === undefined) {
    throw new SetupError(
      'nothing says where reports go',
      'Set REPORTS_DIR, or REPORTS_BUCKET with SUPABASE_URL and SUPABASE_SECRET_KEY',
    )
  }
  const { caFile, preferIpv4 } = connection
  return createFileBucket({ ...supabase, bucket: reports.bucket, caFile, preferIpv4 })
}
