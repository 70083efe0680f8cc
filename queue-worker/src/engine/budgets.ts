/** Decides before a message runs whether it may, and how. Pure. See docs/protocol.md, "The two budgets". */
import type { DeadReason } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import type { ConsumerSettings } from './settings.ts'

/** From this many interruptions on a message is a suspect: it may be what kills the process. */
export const SUSPECT_INTERRUPTIONS = 2

export type Verdict =
  | { readonly run: 'together' }
  /** A suspect: in a process of its own, so that it can take nobody along. */
  | { readonly run: 'alone' }
  | { readonly run: 'never'; readonly reason: DeadReason; readonly error: string }

type Counters = Pick<Message, 'delivery' | 'failures' | 'interruptions' | 'diedAlone'>
type Limits = Pick<ConsumerSettings, 'maxAttempts' | 'maxInterruptions'>

/**
 * `canIsolate`: suspects can be run alone, so only deaths of a message that ran alone count against it, and no
 * innocent is blamed for the company it was in. Without, all its interruptions count.
 */
export function judge(message: Counters, limits: Limits, canIsolate: boolean): Verdict {
  if (message.failures >= limits.maxAttempts) {
    return {
      run: 'never',
      reason: 'attempts_exhausted',
      error: `failed ${message.failures} times; the limit is ${limits.maxAttempts}`,
    }
  }
  const blamed = canIsolate ? message.diedAlone : message.interruptions
  if (blamed >= limits.maxInterruptions) {
    return {
      run: 'never',
      reason: 'interruptions_exhausted',
      error: `its worker disappeared ${blamed} times while it ran; the limit is ${limits.maxInterruptions}`,
    }
  }
  return { run: canIsolate && message.interruptions >= SUSPECT_INTERRUPTIONS ? 'alone' : 'together' }
}
