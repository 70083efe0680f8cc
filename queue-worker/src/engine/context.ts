/** Makes what a processor is given beside its payload. */
import type { Logger } from 'pino'
import type { TransactionSql } from 'postgres'
import { LeaseLostError, SetupError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Outcome, Queue, Send } from '../queue/contract.ts'
import { dateOf } from '../queue/origin-key.ts'
import { settleOver } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import { carryTrace, traceContextOf } from '../utils/trace-context.ts'
import type { Tracing } from '../utils/tracing.ts'
import type { Lease } from './leases.ts'
import { createOnce, currentStep } from './ledger.ts'
import { ABORT_GRACE_MS, type ConsumerSettings, MAX_TIMER_MS } from './settings.ts'

export type ContextParts = {
  readonly queue: Pick<Queue, 'ledgerStart' | 'ledgerFinish' | 'ledgerForget' | 'transaction'>
  readonly logger: Logger
  /** Of this process; with the delivery it names the run in the ledger. */
  readonly instance: string
  readonly workerId: string
  readonly tracing: Tracing | null
  /** Throws LeaseLostError when the lease is over, also when nobody could notice yet because the loop was blocked. */
  readonly checkHeld: (lease: Lease) => void
}

/** Nothing but the commit follows a settle, and from there on the message is locked. */
const BEFORE_COMMIT_MS = 5000

/** One run of a message: what its context does with it, and what the engine must know of it afterwards. */
export class Run {
  readonly lease: Lease
  readonly settings: ConsumerSettings
  readonly parts: ContextParts
  readonly context: ProcessorContext
  /** What was sent with `context.send`; commits with the success. */
  readonly sends: Send[] = []
  /** Nothing can be sent any more. */
  isClosed = false
  /** What `context.transaction` has recorded of the message itself; null if it has not. */
  settled: Outcome | null = null

  constructor(lease: Lease, settings: ConsumerSettings, parts: ContextParts) {
    this.lease = lease
    this.settings = settings
    this.parts = parts
    this.context = contextOf(this)
  }
}

/**
 * What is not plain data is made when it is asked for: a processor that does little must not pay for what it does not use. All are
 * properties of its own, and enumerable: who passes `{...context}` on must not lose the signal or the origin key.
 */
function contextOf(run: Run): ProcessorContext {
  const { settings, parts, lease } = run
  const { message, cancellation } = lease
  const attempt = message.failures + 1
  let logger: Logger | undefined
  let once: ProcessorContext['once'] | undefined
  return {
    queue: message.queue,
    messageId: message.msgId,
    attempt,
    maxAttempts: settings.maxAttempts,
    headers: message.headers,
    get originKey() {
      return message.originKey
    },
    get enqueuedAt() {
      return dateOf(message.enqueuedAt)
    },
    get traceContext() {
      return parts.tracing?.active() ?? traceContextOf(message.headers)
    },
    get signal() {
      return cancellation.signal
    },
    get logger() {
      logger ??= parts.logger.child({ queue: message.queue, msg_id: message.msgId, attempt })
      return logger
    },
    get once() {
      const token = `${parts.instance}/${message.queue}/${message.msgId}/${message.delivery}`
      once ??= createOnce(parts.queue, message, token, cancellation.signal, () => parts.checkHeld(lease))
      return once
    },
    send: (queue, payload, options) => send(run, queue, payload, options),
    transaction: (work) => transact(run, work),
  }
}

function send(run: Run, ...[queue, payload, options = {}]: Parameters<ProcessorContext['send']>): void {
  const step = currentStep()
  if (step !== undefined)
    throw new Error(`context.send inside step "${step}": a redelivery skips the step, and the send with it`)
  if (run.isClosed) throw new Error('context.send after context.transaction: it would not be sent')
  const sent = carryTrace({ ...options, queue, message: payload }, run.context.traceContext)
  run.sends.push(checkSend(sent))
}

async function transact<T>(run: Run, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
  const { settings, parts, lease, sends } = run
  const { message } = lease
  if (parts.queue.transaction === undefined) {
    throw new SetupError(
      'context.transaction needs a direct connection',
      'Set DATABASE_URL and QUEUE_TRANSPORT=postgres, or use context.once',
    )
  }
  if (run.settled !== null) throw new Error('context.transaction may be used once in a run, as its last step')
  let outcome: Outcome = { kind: settings.onSuccess }
  const transacted = parts.queue.transaction(async (sql, call) => {
    checkHeld(run)
    // A lost connection must not keep its locks: past the time limit, what it has written is rolled back anyway.
    const [value] = await Promise.all([work(sql), limitIdle(sql, settings.timeoutMs + ABORT_GRACE_MS)])
    checkHeld(run)
    lease.settling = true
    run.isClosed = true // what is sent from here on would not be part of the settlement
    if (sends.length > 0) outcome = { kind: settings.onSuccess, sends: [...sends] }
    const settlement = { receipt: message, outcome, waitedMs: message.waitedMs }
    const settled = settleOver(call, [settlement], parts.workerId)
    const [[answer]] = await Promise.all([settled, limitIdle(sql, BEFORE_COMMIT_MS)])
    // Throwing rolls back: the writes stand only together with the outcome.
    if (answer?.status === 'rejected') throw new Error(`the message cannot be settled: ${answer.error}`)
    if (answer?.status !== 'ok') throw new LeaseLostError('the message was delivered again in the meantime')
    return value
  })
  try {
    const result = await transacted
    run.settled = outcome
    return result
  } finally {
    run.isClosed = run.settled !== null
    lease.settling = run.isClosed
  }
}

function checkHeld({ lease, parts }: Run): void {
  parts.checkHeld(lease)
  lease.cancellation.throwIfAborted()
}

/** The server ends the session when it waits for longer than this for the next statement of the transaction. */
async function limitIdle(sql: TransactionSql, ms: number): Promise<void> {
  const limitMs = Math.min(Math.ceil(ms), MAX_TIMER_MS)
  await sql.unsafe(`set local idle_in_transaction_session_timeout = ${limitMs}`)
}
