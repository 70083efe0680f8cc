/** Makes what a processor is given beside its payload. */
import type { Logger } from 'pino'
import type { TransactionSql } from 'postgres'
import { LeaseLostError, SetupError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Outcome, Queue, Send } from '../queue/contract.ts'
import { dateOf } from '../queue/origin-key.ts'
import { settleOver } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import type { Lease } from './leases.ts'
import { createOnce, currentStep } from './ledger.ts'
import { ABORT_GRACE_MS, type ConsumerSettings, MAX_TIMER_MS } from './settings.ts'

export type ContextParts = {
  readonly queue: Pick<Queue, 'ledgerStart' | 'ledgerFinish' | 'ledgerForget' | 'transaction'>
  readonly logger: Logger
  /** Of this process; with the delivery it names the run in the ledger. */
  readonly instance: string
  readonly workerId: string
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
    this.context = new Context(this)
  }
}

/** What is not plain data is made when it is asked for: a processor that does little must not pay for what it does not use. */
class Context implements ProcessorContext {
  readonly queue: string
  readonly messageId: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly headers: ProcessorContext['headers']
  readonly #run: Run
  #logger: Logger | undefined
  #once: ProcessorContext['once'] | undefined

  constructor(run: Run) {
    const { message } = run.lease
    this.queue = message.queue
    this.messageId = message.msgId
    this.attempt = message.failures + 1
    this.maxAttempts = run.settings.maxAttempts
    this.headers = message.headers
    this.#run = run
  }

  get originKey() {
    return this.#run.lease.message.originKey
  }

  get enqueuedAt() {
    return dateOf(this.#run.lease.message.enqueuedAt)
  }

  get signal() {
    return this.#run.lease.cancellation.signal
  }

  get logger() {
    const { queue, messageId: msg_id, attempt } = this
    this.#logger ??= this.#run.parts.logger.child({ queue, msg_id, attempt })
    return this.#logger
  }

  // Given out as functions of their own: processors take them out of the context.

  get once() {
    const { lease, parts } = this.#run
    const { message, cancellation } = lease
    const token = `${parts.instance}/${message.queue}/${message.msgId}/${message.delivery}`
    const check = () => parts.checkHeld(lease)
    this.#once ??= createOnce(parts.queue, message, token, cancellation.signal, check)
    return this.#once
  }

  get send(): ProcessorContext['send'] {
    return (queue, payload, options) => send(this.#run, queue, payload, options)
  }

  get transaction(): ProcessorContext['transaction'] {
    return (work) => transact(this.#run, work)
  }
}

function send(run: Run, ...[queue, payload, options = {}]: Parameters<ProcessorContext['send']>): void {
  const step = currentStep()
  if (step !== undefined)
    throw new Error(`context.send inside step "${step}": a redelivery skips the step, and the send with it`)
  if (run.isClosed) throw new Error('context.send after context.transaction: it would not be sent')
  run.sends.push(checkSend({ ...options, queue, message: payload }))
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
