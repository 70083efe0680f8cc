/** What checks work with. */
import { connectionSettings } from '../config/connection-settings.ts'
import type { Config, Environment } from '../config.ts'
import type { ConnectionSettings, Queue, Transport } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { connect } from '../services/connect.ts'
import { openDatabase } from '../services/postgres.ts'
import { type Diagnosis, diagnose } from './diagnosis.ts'
import { type Endpoint, endpointOf } from './endpoint.ts'

/** For checks that need no connection. */
export type Place = {
  /** The folder the worker would be started from. */
  readonly cwd: string
  readonly environment: Environment
}

export type Parts = Place & {
  readonly config: Config
  readonly connection: ConnectionSettings
  readonly endpoint: Endpoint
  readonly transport: Transport
  readonly queue: Queue
  /** Queues that a worker with these settings reads. */
  readonly queues: readonly string[]
  /** Asks the database; each time anew, as something may have been mended meanwhile. */
  diagnose(): Promise<Diagnosis>
  /** Another connection of the same kind; the caller closes it. */
  open(): Transport
  /** Works with a direct connection; null where none is configured. Errors are ConnectionFailures. */
  readonly direct: (<T>(work: (sql: DirectSql) => Promise<T>) => Promise<T>) | null
  /** Where a mail is to be sent to, to see it arrive. */
  readonly sendMailTo: string | undefined
  close(): Promise<void>
}

export type DirectSql = ReturnType<typeof openDatabase>['sql']

/** A person waits: longer than this nobody should have to. */
const MOST_CONNECT_MS = 10_000

/** Connects with the first call. @throws SetupError for settings that lead nowhere. */
export function openParts(
  place: Place,
  given: { config: Config; queues: readonly string[]; sendMailTo?: string | undefined },
): Parts {
  const connectTimeoutMs = Math.min(given.config.connection.connectTimeoutMs, MOST_CONNECT_MS)
  const config: Config = { ...given.config, connection: { ...given.config.connection, connectTimeoutMs } }
  const connection = connectionSettings(config)
  const transport = connect(connection)
  return {
    ...place,
    config,
    connection,
    endpoint: endpointOf(connection),
    transport,
    queue: createQueue(transport),
    queues: given.queues,
    sendMailTo: given.sendMailTo,
    diagnose: () => diagnose(transport, given.queues),
    open: () => connect(connection),
    direct: directly(config),
    close: () => transport.close(),
  }
}

function directly({ database, connection }: Config): Parts['direct'] {
  if (database === undefined) return null
  const { caFile, preferIpv4, connectTimeoutMs } = connection
  return async (work) => {
    const { sql, classify } = openDatabase({ ...database, caFile, preferIpv4, connectTimeoutMs })
    try {
      return await work(sql)
    } catch (error) {
      throw error instanceof Error && error.name === 'SetupError' ? error : classify(error)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
}
