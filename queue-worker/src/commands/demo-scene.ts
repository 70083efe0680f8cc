/** Everything the demo needs, opened and closed together: the stack, a broker, a receiver of callbacks, and the worker. */
import { fileURLToPath } from 'node:url'
import type { Sql } from 'postgres'
import { type Environment, readEnvironment } from '../config.ts'
import { openDatabase } from '../services/postgres.ts'
import { closeAll } from '../utils/close-all.ts'
import { composeWorker } from './compose.ts'
import { type DemoBroker, openDemoBroker } from './demo-broker.ts'
import { type Inbox, openInbox } from './demo-inbox.ts'
import { DEMO_QUEUES } from './demo-messages.ts'
import { type DemoReceiver, startDemoReceiver } from './demo-receiver.ts'
import type { Io } from './io.ts'
import { setUp, withVariables } from './setup.ts'

export type Scene = {
  readonly sql: Sql
  readonly databaseUrl: string
  readonly mailDirectory: string
  /** Before the names of the queues. */
  readonly prefix: string
  readonly receiver: DemoReceiver
  readonly broker: DemoBroker
  /** Or why there is none. */
  readonly inbox: Inbox | string
  close(): Promise<void>
}

/** Where another process runs the stack, its worker must not take what the demo sends. */
const BESIDE = 'demo_'

/** The worker runs when this resolves. */
export async function openScene(io: Io, signal: AbortSignal): Promise<Scene> {
  const failed = new AbortController()
  // It takes the longest: the stack starts meanwhile.
  const starting = openDemoBroker(readEnvironment(io.cwd), {
    log: io.err,
    signal: AbortSignal.any([signal, failed.signal]),
  })
  starting.catch(() => {})
  const closing: (() => Promise<unknown>)[] = [() => starting.then(({ stop }) => stop())]
  const close = () => closeAll(closing)
  try {
    const { stack, ...rest } = await setUp(io, { embedded: 'always', allQueues: true, extra: ownVariables() })
    if (stack === null) throw new Error('the demo has no embedded stack')
    closing.push(stack.stop)
    const prefix = stack.attached ? BESIDE : ''
    if (stack.attached) io.err(besideAnother(prefix))
    const broker = await starting
    const setup = withVariables({ stack, ...rest }, { AMQP_URL: broker.url, ...quickRetries(prefix) })
    const { amqp, callbacks } = setup.config
    if (amqp.address === undefined) throw new Error('the demo has no address of a broker')
    const inbox = broker.missing ?? (await openInbox(amqp.address, amqp.caFile))
    if (typeof inbox !== 'string') closing.push(inbox.close)
    const receiver = await startDemoReceiver(callbacks.secrets)
    closing.push(receiver.close)
    const { sql } = openDatabase({ url: stack.databaseUrl, connections: 1 })
    closing.push(() => sql.end({ timeout: 1 }))
    const { worker } = await composeWorker(setup, io, { queuePrefix: prefix })
    closing.push(() => worker.stop('the demo is over'))
    await worker.start()
    const { databaseUrl, mailDirectory } = stack
    return { sql, databaseUrl, mailDirectory, prefix, receiver, broker, inbox, close }
  } catch (error) {
    failed.abort()
    // Why it could not be opened is what counts.
    await close().catch(() => {})
    throw error
  }
}

function besideAnother(prefix: string): string {
  return (
    'The stack of this folder runs already, in another process. So that a worker there does not take the messages\n' +
    `of the demo, they go through queues of their own: ${prefix}email_queue and so on.`
  )
}

function ownVariables(): Environment {
  const up = import.meta.url.endsWith('.ts') ? '../../../templates' : '../../templates'
  return {
    EMAIL_TEMPLATES_DIR: fileURLToPath(new URL(up, import.meta.url)),
    LOG_LEVEL: 'silent',
    WORKER_ID: 'demo',
    PORT: 'off',
  }
}

/** A real queue waits up to a minute before it tries a busy mailbox again; a demo need not. */
function quickRetries(prefix: string): Environment {
  const names = DEMO_QUEUES.map((queue) => `${prefix}${queue}`.toUpperCase())
  return Object.fromEntries(
    names.flatMap((name) => [
      [`${name}_BACKOFF_BASE_SECONDS`, '1'],
      [`${name}_BACKOFF_MAX_SECONDS`, '2'],
    ]),
  )
}
