/** The broker that the demo publishes to: that of AMQP_URL, else a RabbitMQ that is installed here, else none. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { given } from '../config/gather.ts'
import type { Environment } from '../config.ts'
import { lastingPort, loopback } from '../embedded/ports.ts'
import { findRabbitmq, startRabbitmq } from '../embedded/rabbitmq.ts'
import { coerceError } from '../errors.ts'

export type DemoBroker = {
  /** Without a broker it leads to where nobody listens, so that the worker shows what it does then. */
  readonly url: string
  readonly name: string
  /** Why there is none; null when there should be one. */
  readonly missing: string | null
  stop(): Promise<void>
}

export type DemoBrokerOptions = {
  readonly log: (line: string) => void
  /** Gives it up while it starts. */
  readonly signal: AbortSignal
}

const OWN = 'Set AMQP_URL to a broker that you have.'
const REMEDY = `Install one (apt-get install rabbitmq-server, brew install rabbitmq) and run this again. Or: ${OWN}`

export async function openDemoBroker(
  environment: Environment,
  { log, signal }: DemoBrokerOptions,
): Promise<DemoBroker> {
  const url = given(environment, 'AMQP_URL')
  if (url !== undefined) return { url, name: 'the broker of AMQP_URL', missing: null, stop: async () => {} }
  const programs = findRabbitmq()
  if (programs === null) return noBroker(`No RabbitMQ is installed here. ${REMEDY}`)
  log('Starting the RabbitMQ that is installed here, on a port of its own …')
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-rabbitmq-'))
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  try {
    const broker = await startRabbitmq({ programs, folder, path: environment.PATH, signal })
    const stop = () => broker.stop().finally(remove)
    return { url: broker.url, name: 'RabbitMQ', missing: null, stop }
  } catch (error) {
    await remove()
    return noBroker(`The RabbitMQ of this machine cannot be used (${coerceError(error).message}). ${OWN}`)
  }
}

async function noBroker(missing: string): Promise<DemoBroker> {
  const url = `amqp://${loopback}:${await lastingPort()}`
  return { url, name: 'no broker', missing, stop: async () => {} }
}
