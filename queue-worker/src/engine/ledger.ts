/** `context.once`: a step of a message that happens once over all its deliveries. See docs/protocol.md, "The ledger". */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { EffectNotDoneError, UncertainEffectError, UnrecoverableError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { followAbort } from '../utils/follow-abort.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { persist } from './persist.ts'

const MAX_RESULT_BYTES = 64 * 1024
/** After an abort, what became of a step may still be recorded for this long: else a person would have to find out. */
const AFTER_ABORT_MS = 5000

type LedgerCalls = Pick<Queue, 'ledgerStart' | 'ledgerFinish' | 'ledgerForget'>

/** Set while a step runs: what belongs to the message as a whole must not hide in it. */
const inStep = new AsyncLocalStorage<string>()

/** The name of the step that this code runs in; undefined outside of any. */
export function currentStep(): string | undefined {
  return inStep.getStore()
}

/** `token` names this run of the processor, no two runs share one; `checkHeld` throws when the lease is over. */
export function createOnce(
  ledger: LedgerCalls,
  message: Pick<Message, 'originKey'>,
  token: string,
  signal: AbortSignal,
  checkHeld: () => void,
): ProcessorContext['once'] {
  /** Steps under way in this run: asked for twice at once, a step still happens once. */
  const underWay = new Map<string, Promise<unknown>>()

  return async function once<T>(
    step: string,
    run: () => Promise<T> | T,
    options: { uncertain?: 'hold' | 'repeat' } = {},
  ): Promise<T> {
    const before = underWay.get(step)
    if (before !== undefined) return before as Promise<T>
    const result = perform(step, run, options).finally(() => underWay.delete(step))
    underWay.set(step, result)
    return result
  }

  async function perform<T>(
    step: string,
    run: () => Promise<T> | T,
    options: { uncertain?: 'hold' | 'repeat' },
  ): Promise<T> {
    checkHeld()
    signal.throwIfAborted()
    // Each call has its own: what an earlier one of the same run left uncertain is so for this one too.
    const call = `${token}/${randomUUID()}`
    const repeat = options.uncertain === 'repeat'
    const known = await persist(() => ledger.ledgerStart(message.originKey, step, repeat, call), signal)
    // The stored result is what this very step returned before, through JSON: its type is T by construction.
    if (known.state === 'done') return known.result as T
    if (known.state === 'uncertain') {
      throw new UnrecoverableError(
        `step "${step}" was started at ${known.startedAt} and its end is not known. Find out whether it happened; ` +
          'then discard this dead letter, or redrive it with "forget_uncertain" to do the step again',
      )
    }
    // Should it not be forgotten, the step will be found uncertain: the careful side.
    const forget = () => record(() => ledger.ledgerForget(message.originKey, step, call)).catch(() => {})
    const result = await attempt(() => inStep.run(step, run), forget)
    await record(() => ledger.ledgerFinish(message.originKey, step, result))
    return result
  }

  async function record(call: () => Promise<void>): Promise<void> {
    const limit = new AbortController()
    const unfollow = followAbort(limit, signal, () => AFTER_ABORT_MS)
    await unlessAborted(persist(call, limit.signal), limit.signal).finally(unfollow)
  }

  async function attempt<T>(run: () => Promise<T> | T, forget: () => Promise<void>): Promise<T> {
    try {
      checkHeld() // the ledger may have taken its time to answer
      signal.throwIfAborted()
    } catch (error) {
      await forget()
      throw error
    }
    let result: T
    try {
      result = await run()
    } catch (error) {
      // Aborted midway, nobody knows whether the effect happened, unless the step does: it stays "started".
      const isUnknown = error instanceof UncertainEffectError || signal.aborted
      if (error instanceof EffectNotDoneError || !isUnknown) await forget()
      throw error
    }
    checkStorable(result)
    return result
  }
}

function checkStorable(result: unknown): void {
  const json = JSON.stringify(result) ?? 'null'
  if (json.length > MAX_RESULT_BYTES) {
    throw new UncertainEffectError(
      `the result of a step given to context.once is ${json.length} bytes long as JSON; ${MAX_RESULT_BYTES} are allowed. ` +
        'Return less from the step, for example an id',
    )
  }
}
