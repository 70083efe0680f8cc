/** Makes what a processor is given beside its payload. */
import type { Logger } from 'pino'
import type { TransactionSql } from 'postgres'
import { LeaseLostError, SetupError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Outcome, Queue, Send } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { dateOf } from '../queue/origin-key.ts'
import { settleOver } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import type { Cancellation } from '../utils/cancellation.ts'
import { createOnce, currentStep } from './ledger.ts'
import { ABORT_GRACE_MS, type ConsumerSettings, MAX_TIMER_MS } from './settings.ts'

/** One run of a message: its context, with what the engine must know of it afterwards. */
export type Run = State & { readonly context: ProcessorContext }

type State = {
  readonly message: Message
  readonly settings: ConsumerSettings
  readonly parts: ContextParts
  readonly hold: Hold
  readonly cancellation: Cancellation
  /** What was sent with `context.send`; commits with the success. */
  readonly sends: Send[]
  /** Nothing can be sent any more. */
  isClosed: boolean
  /** What `context.transaction` has recorded of the message itself; null if it has not. */
  settled: Outcome | null
}

/** The hold on the message, as far as its run has a part in it. */
export type Hold = {
  /** Throws LeaseLostError when the lease is over, also when nobody could notice yet because the loop was blocked. */
  check(): void
  /** True while the run records the outcome itself: then only the fence decides. */
  settling(is: boolean): void
}

export type ContextParts = {
  readonly queue: Pick<Queue, 'ledgerStart' | 'ledgerFinish' | 'ledgerForget' | 'transaction'>
  readonly logger: Logger
  /** Of this process; with the delivery it names the run in the ledger. */
  readonly instance: string
  readonly workerId: string
}

/** Nothing but the commit follows a settle, and from there on the message is locked. */
const BEFORE_COMMIT_MS = 5000

export function createRun(
  message: Message,
  settings: ConsumerSettings,
  cancellation: Cancellation,
  parts: ContextParts,
  hold: Hold,
): Run {
  const run: State = {
    message,
    settings,
    cancellation,
    parts,
    hold,
    sends: [],
    isClosed: false,
    settled: null,
  }
  return Object.assign(run, { context: contextOf(run) })
}

/** What is not plain data is made when it is asked for: a processor that does little must not pay for what it does not use. */
function contextOf(run: State): ProcessorContext {
  const { message, settings, parts, hold, cancellation } = run
  let logger: Logger | undefined
  let once: ProcessorContext['once'] | undefined
  return {
    queue: message.queue,
    messageId: message.msgId,
    attempt: message.failures + 1,
    maxAttempts: settings.maxAttempts,
    headers: message.headers,
    get originKey() {
      return message.originKey
    },
    get enqueuedAt() {
      return dateOf(message.enqueuedAt)
    },
    get signal() {
      return cancellation.signal
    },
    get logger() {
      const { queue, msgId, failures } = message
      logger ??= parts.logger.child({ queue, msg_id: msgId, attempt: failures + 1 })
      return logger
    },
    get once() {
      const token = `${parts.instance}/${message.queue}/${message.msgId}/${message.delivery}`
      once ??= createOnce(parts.queue, message, token, cancellation.signal, hold.check)
      return once
    },
    send: (queue, payload, options) => send(run, queue, payload, options),
    transaction: (work) => transact(run, work),
  }
}

function send(run: State, ...[queue, payload, options = {}]: Parameters<ProcessorContext['send']>): void {
  const step = currentStep()
  if (step !== undefined)
    throw new Error(`context.send inside step "${step}": a redelivery skips the step, and the send with it`)
  if (run.isClosed) throw new Error('context.send after context.transaction: it would not be sent')
  run.sends.push(checkSend({ ...options, queue, message: payload }))
}

async function transact<T>(run: State, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
  const { message, settings, parts, hold, sends } = run
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
    hold.settling(true)
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
    hold.settling(run.isClosed)
  }
}

function checkHeld({ hold, cancellation }: State): void {
  hold.check()
  cancellation.throwIfAborted()
}

/** The server ends the session when it waits for longer than this for the next statement of the transaction. */
async function limitIdle(sql: TransactionSql, ms: number): Promise<void> {
  const limitMs = Math.min(Math.ceil(ms), MAX_TIMER_MS)
  await sql.unsafe(`set local idle_in_transaction_session_timeout = ${limitMs}`)
}
