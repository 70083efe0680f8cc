/** Keeps account of whether the database answers: an outage begins and ends once, whoever notices it. */
import { ConnectionFailure } from '../errors.ts'
import type { Emit } from './events.ts'
import { TOLERATED_OUTAGE_MS } from './part-health.ts'

/** One kind of call to the database. Its failures end with its own success: that others succeed proves nothing. */
export type Calls = {
  succeeded(): void
  failed(failure: ConnectionFailure): void
  /** Failures in a row; 0 while all is well. */
  readonly failures: number
}

export type Outage = {
  calls(): Calls
  /**
   * A call of this kind is being sent; what it returns is called when it has ended, answered or not. An essential kind
   * waits until one of its own is answered; for the others any answer will do.
   */
  sent(kind: string, isEssential: boolean): (answered: boolean) => void
  /**
   * Makes an outage of a call that hangs for too long, before its time limit does; called several times a second.
   * Returns the newest failure once there was no success for longer than `giveUpMs`.
   */
  look(giveUpMs: number): ConnectionFailure | null
  /** For how long some kind of call has not been answered or not succeeded, in milliseconds; 0 while all is well. */
  downMs(): number
  /** When any call was answered last, on our clock. */
  readonly answeredAtMs: number
  /** The newest failure, also after it was overcome. */
  readonly last: ConnectionFailure | null
}

/** Of one kind of call: those without an answer, and since when it waits for one. */
type Waiting = { readonly kind: string; readonly isEssential: boolean; open: number; sinceMs: number }

/** Every call takes its time; one that takes longer than this part of what is tolerated is worth counting. */
const LATE = 0.2
const TELL = 0.9

/** `toleratedMs`: after so long without an answer a call that hangs is taken for an outage. */
export function createOutage(now: () => number, emit: Emit, toleratedMs = TOLERATED_OUTAGE_MS): Outage {
  /** Since when each kind of call that fails has not succeeded. */
  const failing = new Map<Calls, number>()
  /** Said already in this outage; another class of failure, or another thing to do about it, is worth another line. */
  const told = new Set<string>()
  const waiting = new Map<string, Waiting>()
  let sinceMs = 0
  let total = 0
  let answeredAtMs = Number.NEGATIVE_INFINITY
  let last: ConnectionFailure | null = null

  function over(): void {
    emit('connectionBack', { downMs: now() - sinceMs, failures: total })
    told.clear()
    total = 0
  }

  function hangsMs({ isEssential, sinceMs: since }: Waiting): number {
    return now() - (isEssential ? since : Math.max(since, answeredAtMs))
  }

  /** The kind that has waited longest, if that is longer than usual. */
  function longest(): Waiting | null {
    const late = [...waiting.values()].filter((one) => hangsMs(one) > toleratedMs * LATE)
    return late.sort((a, b) => hangsMs(b) - hangsMs(a))[0] ?? null
  }

  function longestMs(): number {
    const late = longest()
    return late === null ? 0 : hangsMs(late)
  }

  function downMs(): number {
    return Math.max(longestMs(), failing.size === 0 ? 0 : now() - Math.min(...failing.values()))
  }

  function createCalls(): Calls {
    let failures = 0
    const calls: Calls = {
      succeeded() {
        answeredAtMs = now()
        if (failures === 0) return
        failures = 0
        failing.delete(calls)
        if (failing.size === 0) over()
      },
      failed(failure) {
        if (failing.size === 0) sinceMs = now() - longestMs()
        if (!failing.has(calls)) failing.set(calls, now())
        failures += 1
        total += 1
        last = failure
        const news = `${failure.kind}: ${failure.remedy}`
        if (told.has(news)) return
        told.add(news)
        emit('connectionLost', { failure })
      },
      get failures() {
        return failures
      },
    }
    return calls
  }

  const hanging = createCalls()

  return {
    calls: createCalls,
    sent(kind, isEssential) {
      const entry = waiting.get(kind) ?? { kind, isEssential, open: 0, sinceMs: now() }
      waiting.set(kind, entry)
      entry.open += 1
      return (answered) => {
        entry.open -= 1
        // What was not answered goes on waiting, for the answer to the next one of its kind or to any.
        if (!answered) return
        answeredAtMs = entry.sinceMs = now()
        for (const one of waiting.values()) {
          if (one.open === 0 && (one === entry || !one.isEssential)) waiting.delete(one.kind)
        }
      }
    },
    look(giveUpMs) {
      const late = longest()
      if (late === null && hanging.failures > 0) hanging.succeeded()
      // Told before anybody who asks is told that the worker is not ready.
      if (late !== null && failing.size === 0 && hangsMs(late) > toleratedMs * TELL) {
        hanging.failed(noAnswerTo(late.kind, hangsMs(late)))
      }
      return failing.size > 0 && downMs() > giveUpMs ? last : null
    },
    downMs,
    get answeredAtMs() {
      return answeredAtMs
    },
    get last() {
      return last
    },
  }
}

function noAnswerTo(kind: string, ms: number): ConnectionFailure {
  return new ConnectionFailure(
    'timeout',
    `no answer to a call (${kind}) for ${Math.round(ms / 1000)} s`,
    'The server or the network is overloaded, or the connection hangs. It is tried again.',
    true,
  )
}
