/**
 * The errors of the product. Each class is a decision: what the engine does with the message, or what the
 * person reading it should do next. Foreign errors are turned into these at the edge and keep their `cause`.
 */

// A program may hold two copies of this package: its processors import one, the worker was started from another.
// What a processor throws is therefore told by a mark that all copies share, not by the class of one copy.
const UNRECOVERABLE: unique symbol = Symbol.for('queue-worker.UnrecoverableError')
const OUTAGE: unique symbol = Symbol.for('queue-worker.OutageError')
const RETRY_AFTER: unique symbol = Symbol.for('queue-worker.RetryAfterError')
const UNCERTAIN_EFFECT: unique symbol = Symbol.for('queue-worker.UncertainEffectError')
const EFFECT_NOT_DONE: unique symbol = Symbol.for('queue-worker.EffectNotDoneError')
const SETUP: unique symbol = Symbol.for('queue-worker.SetupError')

/** Throw from a processor: the message can never succeed. It goes to the dead letters now, unretried. */
export class UnrecoverableError extends Error {
  override readonly name: string = 'UnrecoverableError'
  get [UNRECOVERABLE](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(UNRECOVERABLE)
}

/** Throw from a processor: try again after this many seconds (instead of the queue's backoff). A failure. */
export class RetryAfterError extends Error {
  override readonly name: string = 'RetryAfterError'
  readonly seconds: number
  constructor(seconds: number, message = `asked to be retried after ${seconds} s`, options?: ErrorOptions) {
    super(message, options)
    this.seconds = seconds
  }
  get [RETRY_AFTER](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(RETRY_AFTER)
}

/**
 * Throw from a processor: what it depends on refuses everybody now (429 for the account, down, login refused). It is no message's
 * fault: this one waits without using up an attempt, and the breaker of its queue opens, for all workers. `retryAfterSeconds` is what
 * the other side asked for; otherwise it is 5 seconds, longer each time in a row, up to 5 minutes.
 */
export class OutageError extends Error {
  override readonly name: string = 'OutageError'
  readonly retryAfterSeconds: number | undefined
  constructor(message: string, options?: ErrorOptions & { readonly retryAfterSeconds?: number | undefined }) {
    super(message, options)
    this.retryAfterSeconds = options?.retryAfterSeconds
  }
  get [OUTAGE](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(OUTAGE)
}

/**
 * Throw from a step given to `context.once`: whether its effect happened is not known (for example the
 * connection broke while the answer was awaited). The step stays "started"; see `once` for what follows.
 */
export class UncertainEffectError extends Error {
  override readonly name: string = 'UncertainEffectError'
  get [UNCERTAIN_EFFECT](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(UNCERTAIN_EFFECT)
}

/**
 * Throw from a step given to `context.once`: its effect surely did not happen. The step may run again. Any other error
 * says so only as long as the processor was not aborted: after that nobody knows how far the step was.
 */
export class EffectNotDoneError extends Error {
  override readonly name: string = 'EffectNotDoneError'
  get [EFFECT_NOT_DONE](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(EFFECT_NOT_DONE)
}

/** The processor ran past its time limit. A failure; its AbortSignal's reason is this error. */
export class TimeLimitError extends Error {
  override readonly name: string = 'TimeLimitError'
}

/** The hold on the message ran out; another worker may have it. The processor is aborted with this reason. */
export class LeaseLostError extends Error {
  override readonly name: string = 'LeaseLostError'
}

/** The worker is stopping and the drain limit has passed. The processor is aborted with this reason. */
export class StoppingError extends Error {
  override readonly name: string = 'StoppingError'
}

/** Something the person must mend before the program can run: settings, key, migration. Never retried. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError'
  /** What to do about it, as one or more sentences. */
  readonly remedy: string
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options)
    this.remedy = remedy
  }
  get [SETUP](): true {
    return true
  }
  static override readonly [Symbol.hasInstance] = acrossCopies(SETUP)
}

/** A call to the database that failed. `kind` says why in the words of docs/failures.md, `remedy` what to do. */
export class ConnectionFailure extends Error {
  override readonly name: string = 'ConnectionFailure'
  readonly kind: FailureKind
  readonly remedy: string
  /** True when waiting may mend it; false when a person must change something. */
  readonly transient: boolean
  constructor(
    kind: FailureKind,
    message: string,
    remedy: string,
    transient: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.kind = kind
    this.remedy = remedy
    this.transient = transient
  }
}

export type FailureKind =
  | 'dns'
  | 'refused'
  | 'tls'
  | 'untrusted_ca'
  | 'certificate_expired'
  | 'login'
  | 'wrong_key'
  | 'timeout'
  | 'unavailable'
  | 'exhausted'
  | 'paused_project'
  | 'wrong_url'
  | 'missing_migration'
  | 'old_migration'
  | 'missing_queue'
  | 'forbidden'
  | 'disconnected'
  | 'rejected'
  | 'unknown'

/** What `instanceof` asks of a class with a mark; subclasses inherit it and are asked for in the usual way. */
function acrossCopies(mark: symbol) {
  return function hasInstance(this: unknown, value: unknown): boolean {
    if (typeof this !== 'function' || typeof value !== 'object' || value === null) return false
    if (Object.hasOwn(this, Symbol.hasInstance)) return mark in value
    return Function.prototype[Symbol.hasInstance].call(this, value)
  }
}

/** Anything may be thrown; make it an Error once. */
export function coerceError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  if (typeof thrown === 'string') return new Error(thrown)
  return new Error(`a value that is not an Error was thrown: ${describe(thrown)}`, { cause: thrown })
}

function describe(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return typeof value
  }
}
