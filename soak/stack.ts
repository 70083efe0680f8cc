/** A stack of the soak's own in a temporary folder, whose parts can be stopped and started one by one. */

import { bootstrap } from '../queue-worker/src/embedded/bootstrap.ts'
import { createData } from '../queue-worker/src/embedded/data-folder.ts'
import { openFolder } from '../queue-worker/src/embedded/folder.ts'
import { startGateway } from '../queue-worker/src/embedded/gateway.ts'
import { createSecrets } from '../queue-worker/src/embedded/keys.ts'
import { findPackages } from '../queue-worker/src/embedded/packages.ts'
import { preparePgmq } from '../queue-worker/src/embedded/pgmq.ts'
import { freePort } from '../queue-worker/src/embedded/ports.ts'
import { startPostgres } from '../queue-worker/src/embedded/postgres.ts'
import { startPostgrest } from '../queue-worker/src/embedded/postgrest.ts'
import { signal } from '../queue-worker/src/embedded/processes.ts'
import { preparePrograms } from '../queue-worker/src/embedded/programs.ts'
import { chooseHome } from '../queue-worker/src/embedded/unprivileged.ts'

export type SoakStack = {
  readonly restPort: number
  readonly postgresPort: number
  readonly secretKey: string
  readonly databaseUrl: string
  readonly adminUrl: string
  /** SIGINT is PostgreSQL's fast stop, SIGQUIT its immediate one. Resolves when it is down. */
  stopPostgres(how: 'SIGINT' | 'SIGQUIT'): Promise<void>
  startPostgres(): Promise<void>
  killPostgrest(): Promise<void>
  startPostgrest(): Promise<void>
  close(): Promise<void>
}

export async function createStack(directory: string): Promise<SoakStack> {
  const folder = openFolder(directory)
  const packages = findPackages(18)
  const home = chooseHome(folder.path, () => {})
  const secrets = createSecrets()
  const programs = preparePrograms(packages, home, () => {})
  const pgmq = preparePgmq(packages.pgmqArchive, home.folder, 18)
  // Below the ports that the system hands out to clients: one that connects to a port where nobody listens may else get
  // that very port for itself, and talk to itself.
  const postgresPort = await freePort(15_000 + Math.floor(Math.random() * 15_000))
  const database = {
    programs,
    home,
    major: 18,
    adminPassword: secrets.adminPassword,
    preferredPort: postgresPort,
    logFile: folder.postgresLog,
    pgmq,
  }
  await createData(database, () => {})
  let postgres = await startPostgres(database)
  await bootstrap({ port: postgres.port, secrets, pgmq })
  const rest = {
    program: programs.postgrest,
    folder: home.folder,
    runAs: home.runAs,
    postgresPort,
    secrets,
    logFile: folder.postgrestLog,
  }
  let postgrest = await startPostgrest(rest)
  const gateway = await startGateway({
    // PostgREST comes back on another port; the gateway stays where it is, as a project's does.
    get postgrestPort() {
      return postgrest.port
    },
    keys: secrets,
    preferredPort: 0,
  })
  const url = (user: string, password: string) =>
    `postgres://${user}:${password}@127.0.0.1:${postgresPort}/postgres`

  return {
    restPort: gateway.port,
    postgresPort,
    secretKey: secrets.secretKey,
    databaseUrl: url('postgres', secrets.databasePassword),
    adminUrl: url('supabase_admin', secrets.adminPassword),
    async stopPostgres(how) {
      signal(postgres.server.pid, how)
      await postgres.server.ended
    },
    async startPostgres() {
      if (!postgres.server.hasEnded()) return
      postgres = await startPostgres(database)
      if (postgres.port !== postgresPort) throw new Error('PostgreSQL did not get its port again')
    },
    async killPostgrest() {
      signal(postgrest.server.pid, 'SIGKILL')
      await postgrest.server.ended
    },
    async startPostgrest() {
      if (postgrest.server.hasEnded()) postgrest = await startPostgrest(rest)
    },
    async close() {
      await gateway.close()
      await postgrest.server.stop()
      await postgres.server.stop()
    },
  }
}
