/** A real RabbitMQ of a test's own: its own node, folders and ports, all on 127.0.0.1; nothing of it is left behind. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { lastingPort } from './ports.ts'
import { until } from './worker.ts'

/** Debian's wrappers in /usr/sbin insist on the user rabbitmq and on its folders. */
const PROGRAMS = '/usr/lib/rabbitmq/bin'
const isThere = existsSync(join(PROGRAMS, 'rabbitmq-server'))

/** Why tests that need it are skipped; empty when it is there. */
export const withoutRabbit = isThere ? '' : ' (skipped: no RabbitMQ; apt-get install rabbitmq-server)'

/** Ends a process when this one is gone, however that came about: its end of the pipe is closed then. */
function watch({ pid }: ChildProcess): ChildProcess {
  return spawn('sh', ['-c', 'read -r _; kill -KILL "$0"', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
}

export type Rabbit = Awaited<ReturnType<typeof startRabbit>>

const execute = promisify(execFile)
const START_MS = 110_000

/** Takes five to ten seconds. `config` are further lines of rabbitmq.conf. Should this process die, the broker does too. */
export async function startRabbit({ config = [] as readonly string[] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-rabbit-'))
  const port = await lastingPort()
  const epmdPort = String(await lastingPort())
  const output = join(folder, 'output')
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    RABBITMQ_NODENAME: `queue-worker-${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_DIST_PORT: String(await lastingPort()),
    // Runs as the process that is started, not below it.
    RUNNING_UNDER_SYSTEMD: '1',
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: epmdPort,
  }
  const serverArguments =
    '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none'
  await writeFile(
    env.RABBITMQ_CONFIG_FILE,
    [`listeners.tcp.local = 127.0.0.1:${port}`, 'log.console.level = warning', ...config, ''].join('\n'),
  )
  await writeFile(env.RABBITMQ_CONF_ENV_FILE, '')
  await writeFile(env.RABBITMQ_ENABLED_PLUGINS_FILE, '[].\n')
  const epmd = spawn('epmd', ['-port', epmdPort, '-address', '127.0.0.1'], { stdio: 'ignore' })
  let server: ChildProcess | undefined
  const watchers: ChildProcess[] = [watch(epmd)]

  async function ctl(...args: string[]): Promise<string> {
    return (await execute(join(PROGRAMS, 'rabbitmqctl'), ['-q', ...args], { env })).stdout
  }

  async function start(): Promise<void> {
    const started = spawn('sh', ['-c', `exec "$0" >>"$1" 2>&1`, join(PROGRAMS, 'rabbitmq-server'), output], {
      env: { ...env, RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: serverArguments },
      stdio: 'ignore',
    })
    server = started
    watchers.push(watch(started))
    const before = await said()
    const isUp = async () => {
      if (started.exitCode !== null) throw new Error(`RabbitMQ ended:\n${await said()}`)
      return (await said()).slice(before.length).includes('completed with')
    }
    await until('RabbitMQ has started', isUp, START_MS)
  }

  const said = () => readFile(output, 'utf8').catch(() => '')

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    server.kill(signal)
    await gone
  }

  async function stop(): Promise<void> {
    await end('SIGKILL')
    epmd.kill('SIGKILL')
    for (const watcher of watchers) watcher.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  // A server that finds none starts one that nobody would end.
  const epmdAnswers = () =>
    execute('epmd', ['-port', epmdPort, '-names']).then(
      () => true,
      () => false,
    )
  try {
    await until('epmd answers', epmdAnswers)
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    url: `amqp://127.0.0.1:${port}`,
    ctl,
    said,
    /** As an operator does: it tells its clients, and keeps what it has. */
    shutDown: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    stop,
  }
}
