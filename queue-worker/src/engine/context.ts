/** Makes what a processor is given beside its payload. */
import type { Logger } from 'pino'
import { LeaseLostError, SetupError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Outcome, Queue, Send } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { settleOver } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import { createOnce, currentStep } from './ledger.ts'
import type { ConsumerSettings } from './settings.ts'

/** The context of one run, with what the engine must know of it afterwards. */
export type Run = {
  readonly context: ProcessorContext
  /** What was sent with `context.send`; commits with the success. */
  readonly sends: Send[]
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

export function createRun(
  message: Message,
  settings: ConsumerSettings,
  signal: AbortSignal,
  parts: ContextParts,
  hold: Hold,
): Run {
  const token = `${parts.instance}/${message.queue}/${message.msgId}/${message.delivery}`
  const sends: Send[] = []
  let logger: Logger | undefined
  let isClosed = false
  const run: Run = {
    sends,
    settled: null,
    context: {
      queue: message.queue,
      messageId: message.msgId,
      attempt: message.failures + 1,
      maxAttempts: settings.maxAttempts,
      originKey: message.originKey,
      headers: message.headers,
      enqueuedAt: new Date(message.enqueuedAt),
      signal,
      get logger() {
        logger ??= parts.logger.child({
          queue: message.queue,
          msg_id: message.msgId,
          attempt: message.failures + 1,
        })
        return logger
      },
      once: createOnce(parts.queue, message.originKey, token, signal, hold.check),
      send(queue, payload, options = {}) {
        const step = currentStep()
        if (step !== undefined)
          throw new Error(
            `context.send inside step "${step}": a redelivery skips the step, and the send with it`,
          )
        if (isClosed) throw new Error('context.send after context.transaction: it would not be sent')
        sends.push(checkSend({ ...options, queue, message: payload }))
      },
      transaction,
    },
  }
  return run

  async function transaction<T>(work: Parameters<ProcessorContext['transaction']>[0]): Promise<T> {
    if (parts.queue.transaction === undefined) {
      throw new SetupError(
        'context.transaction needs a direct connection',
        'Set DATABASE_URL and QUEUE_TRANSPORT=postgres, or use context.once',
      )
    }
    if (run.settled !== null)
      throw new Error('context.transaction may be used once in a run, as its last step')
    let outcome: Outcome = { kind: settings.onSuccess }
    const transacted = parts.queue.transaction(async (sql, call) => {
      checkHeld()
      const value = await work(sql)
      checkHeld()
      hold.settling(true)
      isClosed = true // what is sent from here on would not be part of the settlement
      if (sends.length > 0) outcome = { kind: settings.onSuccess, sends: [...sends] }
      const settlement = { receipt: message, outcome, waitedMs: message.waitedMs }
      const [answer] = await settleOver(call, [settlement], parts.workerId)
      // Throwing rolls back: the writes stand only together with the outcome.
      if (answer?.status === 'rejected') throw new Error(`the message cannot be settled: ${answer.error}`)
      if (answer?.status !== 'ok') throw new LeaseLostError('the message was delivered again in the meantime')
      return value
    })
    try {
      const result = await transacted
      run.settled = outcome
      return result as T
    } finally {
      isClosed = run.settled !== null
      hold.settling(isClosed)
    }
  }

  function checkHeld(): void {
    hold.check()
    signal.throwIfAborted()
  }
}
