/**
 * A RabbitMQ of our own, from the programs that the system's package manager installed (npm has no such broker): its node,
 * its ports on 127.0.0.1 and its folder are its own, so one that runs already is not touched. It ends with this process.
 */
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastingPort, loopback } from './ports.ts'
import { failedProgram, type Supervised, supervise } from './supervise.ts'

export type BrokerOptions = {
  /** Where its programs are: see findRabbitmq. */
  readonly programs: string
  /** Gets everything it keeps; must be there. The caller removes it. */
  readonly folder: string
  /** The PATH by which its programs find Erlang. */
  readonly path: string | undefined
  /** Further lines of rabbitmq.conf. */
  readonly config?: readonly string[]
  /** Gives the start up: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export type Broker = {
  readonly port: number
  readonly url: string
  /** For tools such as rabbitmqctl. */
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** The server that was started last. */
  server(): Supervised
  /** Starts the server again once it has ended, with what it has kept. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** Not the wrappers of Debian and Fedora in /usr/sbin, which insist on the user rabbitmq and the system's folders. */
const FOLDERS = [
  '/usr/lib/rabbitmq/bin',
  '/opt/homebrew/opt/rabbitmq/sbin',
  '/usr/local/opt/rabbitmq/sbin',
  '/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin',
]
const START_MS = 110_000

/** The folder of RabbitMQ's programs on this machine, or null. */
export function findRabbitmq(): string | null {
  return FOLDERS.find((folder) => existsSync(join(folder, 'rabbitmq-server'))) ?? null
}

/** Takes five seconds or more. As whom this process runs, root too. Throws SetupError with its last words when it does not start. */
export async function startRabbitmq(options: BrokerOptions): Promise<Broker> {
  const { programs, folder, signal } = options
  const port = await lastingPort()
  const epmdPort = await lastingPort()
  const logFile = join(folder, 'rabbitmq.log')
  const env = await configure(options, port, epmdPort)
  const run = (command: string, args: readonly string[]) =>
    supervise({
      command,
      args,
      env,
      cwd: folder,
      logFile,
      runAs: null,
      stopSignal: 'SIGTERM',
      lastSignal: 'SIGKILL',
    })
  // A server that finds none starts one that nobody would end.
  const epmd = await run('epmd', ['-port', String(epmdPort), '-address', loopback])
  let server = epmd
  const stop = async () => {
    await server.stop()
    await epmd.stop()
  }
  const start = async () => {
    const before = said(logFile).length
    server = await run(join(programs, 'rabbitmq-server'), [])
    await untilUp(server, logFile, () => said(logFile).slice(before).includes('completed with'), signal)
  }
  try {
    await untilUp(epmd, logFile, () => accepts(epmdPort), signal)
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return { port, url: `amqp://${loopback}:${port}`, env, logFile, server: () => server, start, stop }
}

/** Writes its settings and gives the environment that leads to them and to nothing of the system's own node. */
async function configure(options: BrokerOptions, port: number, epmdPort: number) {
  const { folder, path, config = [] } = options
  const env = {
    ...(path === undefined ? {} : { PATH: path }),
    HOME: folder,
    RABBITMQ_NODENAME: `queue-worker-${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_DIST_PORT: String(await lastingPort()),
    // Small: one scheduler, which does not spin while it waits.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
    // Runs as the process that is started, not below it.
    RUNNING_UNDER_SYSTEMD: '1',
    ERL_EPMD_ADDRESS: loopback,
    ERL_EPMD_PORT: String(epmdPort),
  }
  const lines = [`listeners.tcp.local = ${loopback}:${port}`, 'log.console.level = warning', ...config, '']
  await writeFile(env.RABBITMQ_CONFIG_FILE, lines.join('\n'))
  await writeFile(env.RABBITMQ_CONF_ENV_FILE, '')
  await writeFile(env.RABBITMQ_ENABLED_PLUGINS_FILE, '[].\n')
  return env
}

async function untilUp(
  program: Supervised,
  logFile: string,
  isUp: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): Promise<void> {
  const giveUpMs = performance.now() + START_MS
  while (!(await isUp())) {
    signal?.throwIfAborted()
    if (performance.now() > giveUpMs) await program.stop()
    if (program.hasEnded()) throw await failedProgram('RabbitMQ does not start', program, logFile)
    await sleep(20)
  }
}

function said(logFile: string): string {
  return existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, loopback)
    probe.once('error', () => resolve(false))
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
  })
}
