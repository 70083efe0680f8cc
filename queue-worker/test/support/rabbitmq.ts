/** A real RabbitMQ of a test's own, with what an operator can do to it; nothing of it is left behind. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { signal } from '../../src/embedded/processes.ts'
import { findRabbitmq, startRabbitmq } from '../../src/embedded/rabbitmq.ts'

const programs = findRabbitmq()

/** Why tests that need it are skipped; empty when it is there. */
export const withoutRabbit =
  programs === null ? ' (skipped: no RabbitMQ; apt-get install rabbitmq-server)' : ''

export type Rabbit = Awaited<ReturnType<typeof startRabbit>>

const execute = promisify(execFile)

/** Takes five to ten seconds. `config` are further lines of rabbitmq.conf. Should this process die, the broker does too. */
export async function startRabbit({ config = [] as readonly string[] } = {}) {
  if (programs === null) throw new Error('there is no RabbitMQ here')
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-rabbit-'))
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  const broker = await startRabbitmq({ programs, folder, path: process.env.PATH, config }).catch(
    async (error) => {
      await remove()
      throw error
    },
  )
  const { port, url, env, start } = broker
  const end = async (name: NodeJS.Signals) => {
    const server = broker.server()
    if (!server.hasEnded()) signal(server.pid, name)
    await server.ended
  }
  return {
    port,
    url,
    async ctl(...args: string[]): Promise<string> {
      return (await execute(join(programs, 'rabbitmqctl'), ['-q', ...args], { env })).stdout
    },
    said: () => readFile(broker.logFile, 'utf8'),
    /** As an operator does: it tells its clients, and keeps what it has. */
    shutDown: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    async stop(): Promise<void> {
      await end('SIGKILL')
      await broker.stop()
      await remove()
    },
  }
}
