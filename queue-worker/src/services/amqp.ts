/** Publishes to an AMQP 0-9-1 broker: the one place that knows amqplib. One connection per publisher, made when needed. */
import { connect, type Options, type SocketOptions } from 'amqplib'
import type { Logger } from 'pino'
import type { AmqpAddress } from '../config/amqp-url.ts'
import { coerceError } from '../errors.ts'
import { followAbort } from '../utils/follow-abort.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { noConfirm, publishFailure } from './amqp-failures.ts'
import { type AmqpMessage, publishOver } from './amqp-message.ts'
import { BrokerError, type BrokerTarget, brokerFailure, WAIT } from './amqp-outage.ts'
import { createSession, type Session } from './amqp-session.ts'
import { readAuthorities, systemAuthorities } from './network.ts'
import { outageLog } from './outage.ts'

export type PublisherSettings = {
  readonly address: AmqpAddress
  /** PEM file with further authorities to trust, beside the system's. */
  readonly caFile?: string | undefined
  /** From the name's lookup to the open connection; default 30 000. */
  readonly connectTimeoutMs?: number | undefined
  /** From there to the broker's confirm, waiting for a broker that is short of memory or disk included; default 30 000. */
  readonly answerTimeoutMs?: number | undefined
  /** An abort that comes when the message is already given away waits this long for the confirm; default 1000. */
  readonly abortGraceMs?: number | undefined
}

export type Publisher = {
  /** host:port, for logs. */
  readonly target: string
  /**
   * Resolves when the broker confirmed the message. Throws BrokerError (the broker cannot be used now), UnrecoverableError
   * (it refused the message for good), Error (unroutable, refused for now, given away and not confirmed).
   */
  publish(message: AmqpMessage, options?: { readonly signal?: AbortSignal }): Promise<void>
  close(): Promise<void>
}

/** After two of these without a sign of life the other side is given up. */
const HEARTBEAT_SECONDS = 20
/** For so long the error of a failed connection stands: messages that come meanwhile do not each try again. */
const FAILURE_STANDS_MS = 1000

/** Throws SetupError for a CA file that cannot be used. Connects only when there is something to publish. */
export function createPublisher(
  settings: PublisherSettings,
  log?: Pick<Logger, 'info' | 'error'>,
): Publisher {
  const { host, port, user, vhost } = settings.address
  const name = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const target: BrokerTarget = { name, user, vhost }
  const { connectTimeoutMs = 30_000, answerTimeoutMs = 30_000, abortGraceMs = 1000 } = settings
  const outage = outageLog({ field: 'amqp', name: 'AMQP broker', target: name }, log)
  const options = clientOptions(settings)
  let session: Session | undefined
  let opening: Promise<Session> | undefined
  let failed: { readonly error: BrokerError; readonly untilMs: number } | undefined
  let isClosed = false

  async function open(): Promise<Session> {
    if (isClosed) throw new Error('The AMQP publisher is closed.')
    if (session !== undefined && session.ended() === undefined) return session
    if (failed !== undefined && performance.now() < failed.untilMs) throw failed.error
    opening ??= openNow().finally(() => {
      opening = undefined
    })
    return opening
  }

  async function openNow(): Promise<Session> {
    const socket = new AbortController()
    const limit = setTimeout(() => socket.abort(), connectTimeoutMs)
    try {
      const model = await connect(options.broker, { ...options.socket, ...{ signal: socket.signal } })
      session = createSession(model, () => socket.abort())
      return session
    } catch (thrown) {
      const late = Object.assign(new Error(`nothing within ${connectTimeoutMs} ms`), { code: 'ETIMEDOUT' })
      const error = brokerFailure(socket.signal.aborted ? late : coerceError(thrown), target)
      failed = { error, untilMs: performance.now() + FAILURE_STANDS_MS }
      throw error
    } finally {
      clearTimeout(limit)
    }
  }

  /** Over an open connection. `patience` ends the wait; `onGiven` is told when the message is given away. */
  async function give(over: Session, message: AmqpMessage, patience: AbortSignal, onGiven: () => void) {
    await unlessAborted(over.takesMessages(), patience)
    const taking = over.take()
    const channel = await unlessAborted(taking, patience).catch((thrown: unknown) => {
      taking.then(over.giveBack, () => {})
      if (patience.aborted) throw thrown
      throw brokerFailure(over.ended() ?? coerceError(thrown), target)
    })
    let answering: ReturnType<typeof publishOver>
    try {
      answering = publishOver(channel, message)
    } catch (thrown) {
      over.discard(channel)
      throw over.ended() === undefined ? thrown : brokerFailure(over.ended() ?? coerceError(thrown), target)
    }
    onGiven()
    try {
      return await unlessAborted(answering, patience)
    } finally {
      if (patience.aborted) over.discard(channel)
      else over.giveBack(channel)
    }
  }

  async function publish(message: AmqpMessage, signal: AbortSignal): Promise<void> {
    const over = await unlessAborted(open(), signal)
    const patience = new AbortController()
    let isGiven = false
    const unfollow = followAbort(patience, signal, () => (isGiven ? abortGraceMs : 0))
    const limit = setTimeout(() => patience.abort(tooLate(over, message, isGiven)), answerTimeoutMs)
    try {
      const answer = await give(over, message, patience.signal, () => {
        isGiven = true
      })
      const failure = publishFailure(answer, message, target, over.ended())
      if (answer.kind !== 'lost') outage.over()
      if (failure !== undefined) throw failure
    } finally {
      clearTimeout(limit)
      unfollow()
    }
  }

  function tooLate(over: Session, message: AmqpMessage, isGiven: boolean): Error {
    const reason = over.blocked()
    if (reason !== undefined) {
      const what = `The AMQP broker ${name} takes no messages at the moment (${reason}).`
      return new BrokerError('exhausted', what, `Give it memory or disk, or consume what it holds. ${WAIT}`)
    }
    if (isGiven) return noConfirm(message, target, answerTimeoutMs)
    const what = `The AMQP broker ${name} did not answer within ${answerTimeoutMs} ms.`
    return new BrokerError('timeout', what, `It may be overloaded, or the network between is broken. ${WAIT}`)
  }

  return {
    target: name,
    async publish(message, { signal = new AbortController().signal } = {}) {
      try {
        await publish(message, signal)
      } catch (thrown) {
        throw outage.seen(coerceError(thrown))
      }
    },
    async close() {
      isClosed = true
      await opening?.catch(() => {})
      await session?.end()
    },
  }
}

function clientOptions({ address, caFile }: PublisherSettings) {
  const broker: Options.Connect = {
    protocol: address.secure ? 'amqps' : 'amqp',
    hostname: address.host,
    port: address.port,
    username: address.user,
    password: address.password,
    // The client decodes it.
    vhost: encodeURIComponent(address.vhost),
    heartbeat: address.heartbeatSeconds ?? HEARTBEAT_SECONDS,
  }
  const socket: SocketOptions = {
    noDelay: true,
    clientProperties: { connection_name: 'queue-worker' },
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the check off otherwise.
    rejectUnauthorized: true,
    ca: [...systemAuthorities(), ...(caFile === undefined ? [] : readAuthorities(caFile, 'AMQP_CA_FILE'))],
  }
  return { broker, socket }
}
