/** From the end of a run to its recorded outcome: cleans it, tells of it, hands it to the settler, lets go of the lease. */
import type { Outcome, Settlement, SettleResult } from '../queue/contract.ts'
import type { Emit } from './events.ts'
import type { Ending } from './execute.ts'
import type { Lease, Leases } from './leases.ts'
import { failureOutcome } from './outcomes.ts'
import type { ConsumerSettings } from './settings.ts'
import type { Settler } from './settler.ts'

export type Recorder = {
  /** The message's run has ended, or was never begun. `then` is called when that is recorded, or needs no record. */
  conclude(lease: Lease, ending: Ending, startedMs: number, then?: () => void): void
}

export type RecorderParts = {
  readonly settings: ConsumerSettings
  readonly leases: Leases
  readonly settler: Pick<Settler, 'settle'>
  readonly emit: Emit
  /** Called when a lease has ended. */
  readonly onFree: () => void
  /** Called when a message was hidden for so many milliseconds. */
  readonly onHidden: (ms: number) => void
  /** Removes secrets from the text of an error before it is stored; what is stored can be read by more people. */
  readonly redact?: (text: string) => string
}

/** Characters of an error that are stored, and of the reason of a trip. */
const MAX_ERROR = 6000
const MAX_REASON = 1000

export function createRecorder(parts: RecorderParts): Recorder {
  const { settings, leases, settler, emit, redact = (text) => text } = parts

  function record(lease: Lease, settlement: Settlement, then: () => void): void {
    settler.settle(settlement, (result) => recorded(lease, settlement, result, then))
  }

  function recorded(lease: Lease, settlement: Settlement, result: SettleResult, then: () => void): void {
    const { receipt, outcome } = settlement
    const { status, error } = result
    emit('settled', { receipt, kind: outcome.kind, status, error })
    if (status === 'rejected' && (outcome.kind === 'archive' || outcome.kind === 'delete')) {
      // What it wanted to record cannot be: that is a failure of the message, told in its error.
      const refused = new Error(`its success could not be recorded: ${error}`)
      const failed = clean(failureOutcome(refused, lease.message, settings))
      record(lease, { ...settlement, outcome: failed }, then)
      return
    }
    if ('delayMs' in outcome) parts.onHidden(outcome.delayMs)
    if (status === 'lost' && !lease.lost) emit('leaseLost', { message: lease.message })
    letGo(lease, then)
  }

  /** Cut last: half a secret would not be found. */
  function clean(outcome: Outcome): Outcome {
    if ('error' in outcome) return { ...outcome, error: redact(outcome.error).slice(0, MAX_ERROR) }
    if (outcome.kind !== 'snooze' || outcome.breaker === undefined) return outcome
    const reason = redact(outcome.breaker.reason).slice(0, MAX_REASON)
    return { ...outcome, breaker: { ...outcome.breaker, reason } }
  }

  function letGo(lease: Lease, then: () => void): void {
    leases.drop(lease)
    parts.onFree()
    then()
  }

  return {
    conclude(lease, { outcome: ended, isRecorded, ranMs, error }, startedMs, then = nothing) {
      if (ended === null) return letGo(lease, then)
      const receipt = lease.message
      const outcome = clean(ended)
      const waitedMs = receipt.waitedMs + Math.max(0, startedMs - lease.readAtMs)
      lease.settling = true
      emit('finished', { message: receipt, outcome, ranMs, waitedMs, error })
      if (isRecorded === true) {
        emit('settled', { receipt, kind: outcome.kind, status: 'ok' })
        return letGo(lease, then)
      }
      record(lease, { receipt, outcome, ranMs, waitedMs }, then)
    },
  }
}

function nothing(): void {}
