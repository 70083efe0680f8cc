/** From the end of a run to its recorded outcome: cleans it, tells of it, hands it to the settler, lets go of the lease. */
import type { Outcome } from '../queue/contract.ts'
import type { Emit } from './events.ts'
import type { Ending } from './execute.ts'
import type { Lease, Leases } from './leases.ts'
import { failureOutcome } from './outcomes.ts'
import type { ConsumerSettings } from './settings.ts'
import type { Settler } from './settler.ts'

export type Recorder = {
  /** The message's run has ended, or was never begun. Resolves when that is recorded; never rejects. */
  conclude(lease: Lease, ending: Ending, startedMs: number): Promise<void>
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

/** Characters of an error that are stored. */
const MAX_ERROR = 6000

export function createRecorder(parts: RecorderParts): Recorder {
  const { settings, leases, settler, emit, redact = (text) => text } = parts

  async function record(lease: Lease, outcome: Outcome, ranMs: number, waitedMs: number): Promise<void> {
    const receipt = lease.message
    const { status, error } = await settler.settle({ receipt, outcome, ranMs, waitedMs })
    emit('settled', { receipt, kind: outcome.kind, status, error })
    if (status === 'rejected' && (outcome.kind === 'archive' || outcome.kind === 'delete')) {
      // What it wanted to record cannot be: that is a failure of the message, told in its error.
      const refused = new Error(`its success could not be recorded: ${error}`)
      return record(lease, clean(failureOutcome(refused, receipt, settings)), ranMs, waitedMs)
    }
    if ('delayMs' in outcome) parts.onHidden(outcome.delayMs)
    if (status === 'lost' && !lease.lost) emit('leaseLost', { message: receipt })
    letGo(lease)
  }

  /** Cut last: half a secret would not be found. */
  function clean(outcome: Outcome): Outcome {
    return 'error' in outcome ? { ...outcome, error: redact(outcome.error).slice(0, MAX_ERROR) } : outcome
  }

  function letGo(lease: Lease): void {
    leases.drop(lease)
    parts.onFree()
  }

  return {
    async conclude(lease, { outcome: ended, isRecorded = false, ranMs, error }, startedMs) {
      if (ended === null) return letGo(lease)
      const outcome = clean(ended)
      lease.settling = true
      emit('finished', { message: lease.message, outcome, ranMs, ...(error ? { error } : {}) })
      if (isRecorded) {
        emit('settled', { receipt: lease.message, kind: outcome.kind, status: 'ok' })
        return letGo(lease)
      }
      const waitedMs = lease.message.waitedMs + Math.max(0, startedMs - lease.readAtMs)
      await record(lease, outcome, ranMs, waitedMs)
    },
  }
}
