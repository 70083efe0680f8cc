/** `context.once`: a step of a message that happens once over all its deliveries. See docs/protocol.md, "The ledger". */
import { UncertainEffectError, UnrecoverableError } from '../errors.ts'
import type { ProcessorContext } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import { persist } from './persist.ts'

const MAX_RESULT_BYTES = 64 * 1024

type LedgerCalls = Pick<Queue, 'ledgerStart' | 'ledgerFinish' | 'ledgerForget'>

/** `token` names this run of the processor, no two runs share one; `checkHeld` throws when the lease is over. */
export function createOnce(
  ledger: LedgerCalls,
  originKey: string,
  token: string,
  signal: AbortSignal,
  checkHeld: () => void,
): ProcessorContext['once'] {
  return async function once<T>(
    step: string,
    run: () => Promise<T> | T,
    options: { uncertain?: 'hold' | 'repeat' } = {},
  ): Promise<T> {
    checkHeld()
    signal.throwIfAborted()
    const repeat = options.uncertain === 'repeat'
    const known = await persist(() => ledger.ledgerStart(originKey, step, repeat, token), signal)
    // The stored result is what this very step returned before, through JSON: its type is T by construction.
    if (known.state === 'done') return known.result as T
    if (known.state === 'uncertain') {
      throw new UnrecoverableError(
        `step "${step}" was started at ${known.startedAt} and its end is not known. Find out whether it happened; ` +
          'then discard this dead letter, or redrive it with "forget_uncertain" to do the step again',
      )
    }
    // Should it not be forgotten, the step will be found uncertain: the careful side.
    const forget = () => persist(() => ledger.ledgerForget(originKey, step, token), signal).catch(() => {})
    const result = await attempt(run, forget)
    await persist(() => ledger.ledgerFinish(originKey, step, result), signal)
    return result
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
      // Aborted midway, nobody knows whether the effect happened: it stays "started".
      if (!(error instanceof UncertainEffectError) && !signal.aborted) await forget()
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
