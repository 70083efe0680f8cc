/** The processor of reports as the settings ask for it: when they say where the files go. */
import type { Config } from '../config.ts'
import type { Transport } from '../queue/contract.ts'
import { createFileFolder } from '../services/file-folder.ts'
import { connectPostgres } from '../services/postgres.ts'
import type { FileStorage } from '../services/storage.ts'
import { connectSupabase } from '../services/supabase.ts'
import { createFileBucket } from '../services/supabase-storage.ts'
import type { Processor } from './define.ts'
import { reportsProcessor } from './reports.ts'

/** What a call may take besides the report's own statement. */
const MARGIN_MS = 10_000

/** None unless REPORTS_DIR or REPORTS_BUCKET is set. Connects with the first report. */
export function configuredReports(config: Config, queue: string, emailQueue: string): Processor[] {
  const storage = openStorage(config)
  const transport = storage === null ? null : openTransport(config)
  if (storage === null || transport === null) return []
  return [reportsProcessor({ ...config.reports, transport, storage, queue, emailQueue })]
}

/** Where reports are kept; null: nowhere. */
export function openStorage({ reports, supabase, connection }: Config): FileStorage | null {
  if (reports.dir !== undefined) return createFileFolder(reports.dir)
  if (reports.bucket === undefined || supabase === undefined) return null
  const { caFile, preferIpv4 } = connection
  return createFileBucket({ ...supabase, bucket: reports.bucket, caFile, preferIpv4 })
}

function openTransport({ transport, supabase, database, connection, reports }: Config): Transport | null {
  const { caFile, preferIpv4, connectTimeoutMs } = connection
  if (transport === 'postgres' && database !== undefined) {
    return connectPostgres({ ...database, caFile, preferIpv4, connectTimeoutMs, connections: 2 })
  }
  if (supabase === undefined) return null
  const requestTimeoutMs = reports.statementTimeoutMs + MARGIN_MS
  return connectSupabase({ ...supabase, caFile, preferIpv4, requestTimeoutMs })
}
