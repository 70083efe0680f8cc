/** Runs a stack in this process: starts its parts in order, and stops them in the reverse one. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError } from '../errors.ts'
import { closeAll } from '../utils/close-all.ts'
import { bootstrap } from './bootstrap.ts'
import { createData } from './data-folder.ts'
import type { Folder } from './folder.ts'
import { startGateway } from './gateway.ts'
import { createSecrets, type Secrets } from './keys.ts'
import { endLeftovers } from './leftovers.ts'
import type { Packages, PostgresMajor } from './packages.ts'
import { preparePgmq } from './pgmq.ts'
import { startPostgres } from './postgres.ts'
import { startPostgrest } from './postgrest.ts'
import { type ProcessId, processId } from './processes.ts'
import { preparePrograms } from './programs.ts'
import { startMailServer } from './smtp.ts'
import { type Ports, readState, writeState } from './state.ts'
import type { Supervised } from './supervise.ts'
import { chooseHome, type Home } from './unprivileged.ts'

export type OwnOptions = {
  readonly folder: Folder
  readonly owner: ProcessId
  readonly packages: Packages
  readonly preferred: Ports
  readonly major: PostgresMajor
  readonly log: (line: string) => void
}

export const smtpUser = 'queue-worker'

export type Owned = { readonly secrets: Secrets; readonly ports: Ports; stop(): Promise<void> }

/** When a part fails, those before it are stopped. */
export async function runStack(options: OwnOptions): Promise<Owned> {
  const { folder, owner, packages, preferred, major, log } = options
  const home = chooseHome(folder.path, log)
  const { secrets, run: earlierRun } = openState(folder, home, log)
  const programs = preparePrograms(packages, home, log)
  const pgmq = preparePgmq(packages.pgmqArchive, home.folder, major)
  await endLeftovers(earlierRun, join(home.folder, 'data'))

  const stops: (() => Promise<void>)[] = []
  const children: ProcessId[] = []
  let stopping = false
  const remember = (ports: Ports | null) =>
    writeState(folder.state, { secrets, run: { owner, children, ports } })
  const stop = async () => {
    stopping = true
    await closeAll(stops)
    writeState(folder.state, { secrets, run: null })
  }
  /** Recorded at once, so that the next start can end it if nothing else does. */
  const record = (child: Supervised) => {
    stops.push(child.stop)
    const id = processId(child.pid)
    if (id) children.push(id)
    remember(null)
  }
  const addServer = (name: string, child: Supervised, logFile: string) => {
    record(child)
    child.ended.then(({ reason }) => {
      if (!stopping) log(`${name} of the embedded stack has ended by itself (${reason}); its log: ${logFile}`)
    })
  }

  try {
    const { adminPassword } = secrets
    const database = { programs, home, major, adminPassword, preferredPort: preferred.postgres, pgmq }
    const databaseOptions = { ...database, logFile: folder.postgresLog }
    await createData(databaseOptions, record)
    const postgres = await startPostgres(databaseOptions)
    addServer('PostgreSQL', postgres.server, folder.postgresLog)
    await bootstrap({ port: postgres.port, secrets, pgmq })

    const postgrest = await startPostgrest({
      program: programs.postgrest,
      folder: home.folder,
      runAs: home.runAs,
      postgresPort: postgres.port,
      secrets,
      logFile: folder.postgrestLog,
    })
    addServer('PostgREST', postgrest.server, folder.postgrestLog)

    const mailServer = await startMailServer({
      preferredPort: preferred.smtp,
      user: smtpUser,
      password: secrets.smtpPassword,
      mailDirectory: folder.mail,
    })
    stops.push(mailServer.close)

    const gateway = await startGateway({
      postgrestPort: postgrest.port,
      keys: secrets,
      preferredPort: preferred.gateway,
    })
    stops.push(gateway.close)

    const ports: Ports = { gateway: gateway.port, postgres: postgres.port, smtp: mailServer.port }
    sayMoved(preferred, ports, log)
    remember(ports)
    return { secrets, ports, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function openState(folder: Folder, home: Home, log: (line: string) => void) {
  const state = readState(folder.state)
  if (state) return state
  const data = join(home.folder, 'data')
  if (existsSync(data)) {
    if (home.folder === folder.path) {
      throw new SetupError(
        `${data} is there, but ${folder.state} with its passwords is not`,
        `Remove ${folder.path}; the embedded stack starts afresh, without the data that was in it.`,
      )
    }
    log(`removing ${data}: the folder it belonged to was removed`)
    rmSync(data, { recursive: true })
  }
  const fresh = { secrets: createSecrets(), run: null }
  writeState(folder.state, fresh)
  return fresh
}

function sayMoved(preferred: Ports, ports: Ports, log: (line: string) => void): void {
  const names = { gateway: 'the REST gateway', postgres: 'PostgreSQL', smtp: 'the SMTP server' } as const
  for (const part of ['gateway', 'postgres', 'smtp'] as const) {
    if (preferred[part] === 0 || preferred[part] === ports[part]) continue
    log(`port ${preferred[part]} is taken: ${names[part]} listens on ${ports[part]} instead`)
  }
}
