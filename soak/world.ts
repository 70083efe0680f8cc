/** What a soak happens in: a stack, proxies, workers, producers, a journal; set up together and cleared away together. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import {
  connectPostgres,
  connectSupabase,
  createProducer,
  type Producer,
} from '../queue-worker/src/library.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { openDatabase } from '../queue-worker/src/services/postgres.ts'
import { startProxy } from '../queue-worker/test/support/proxy.ts'
import { createTables } from './evidence.ts'
import type { FaultProxy } from './faults.ts'
import { createFleet, type Fleet } from './fleet.ts'
import { type Journal, openJournal } from './journal.ts'
import { type PlanSettings, slotNames } from './settings.ts'
import { createStack, type SoakStack } from './stack.ts'

export type World = {
  readonly folder: string
  readonly journalPath: string
  readonly journal: Journal
  readonly stack: SoakStack
  /** As an application, and as superuser; both past the proxies. */
  readonly app: Sql
  readonly admin: Sql
  /** One for each worker and each producer, by name. */
  readonly proxies: Readonly<Record<string, FaultProxy>>
  readonly fleet: Fleet
  readonly producers: Readonly<Record<string, Producer>>
  /** Ends everything; the folder is left. */
  close(): Promise<void>
}

export async function createWorld(settings: PlanSettings): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-soak-'))
  await chmod(folder, 0o755) // as root, PostgreSQL runs as another user
  const journalPath = join(folder, 'journal.jsonl')
  const journal = openJournal(journalPath, 'soak')
  const stops: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  }
  try {
    const stack = await createStack(join(folder, 'stack'))
    stops.push(stack.close)
    const open = (url: string) => {
      const { sql } = openDatabase({ url, connections: 5 })
      stops.push(() => sql.end({ timeout: 5 }))
      return sql
    }
    const app = open(stack.databaseUrl)
    const admin = open(stack.adminUrl)
    await applyMigrations(app, await listMigrations())
    await createTables(app)

    const proxies: Record<string, FaultProxy> = {}
    const throughProxy = async (name: string, kind: 'rpc' | 'postgres'): Promise<ConnectionSettings> => {
      const proxy = await startProxy({ targetPort: kind === 'rpc' ? stack.restPort : stack.postgresPort })
      stops.push(proxy.stop)
      proxies[name] = proxy
      if (kind === 'rpc') return { kind, url: `http://127.0.0.1:${proxy.port}`, key: stack.secretKey }
      return { kind, url: stack.databaseUrl.replace(`:${stack.postgresPort}/`, `:${proxy.port}/`) }
    }
    const producers: Record<string, Producer> = {}
    for (const kind of settings.transports) {
      const through = await throughProxy(`producer-${kind}`, kind)
      const producer = createProducer(
        through.kind === 'rpc' ? connectSupabase(through) : connectPostgres(through),
      )
      stops.push(producer.close)
      producers[kind] = producer
    }
    const connections: Record<string, ConnectionSettings> = {}
    for (const name of slotNames(settings)) {
      connections[name] = await throughProxy(name, name.startsWith('rpc') ? 'rpc' : 'postgres')
    }
    const fleet = createFleet({ connections, journal, journalPath, logPath: join(folder, 'workers.log') })
    // After a run that went to its end they are gone already; else nothing is worth waiting for.
    stops.push(() => fleet.close('SIGKILL'))
    return { folder, journalPath, journal, stack, app, admin, proxies, fleet, producers, close }
  } catch (error) {
    await close()
    await removeFolder(folder)
    throw error
  }
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}
