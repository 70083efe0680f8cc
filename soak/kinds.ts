/** The kinds of messages and the queues they go to: how each behaves, and how it may end. Shared by all parts. */
import type { DeadReason } from '../queue-worker/src/queue/contract.ts'

export const QUEUES = {
  /** Most kinds; successes are archived. */
  work: 'soak_work',
  /** Successes are deleted. */
  brief: 'soak_brief',
  /** Served by direct workers only: uses context.transaction. */
  transact: 'soak_transact',
  /** Short time limit and few attempts, for those that ignore their abort or kill their process. */
  harsh: 'soak_harsh',
  /** Messages that others send with context.send. */
  follow: 'soak_follow',
} as const

export type Effect = 'transaction' | 'hold' | 'repeat'

export type KindRules = {
  /** How many of each hundred or so; 0: it is not drawn by weight. */
  readonly weight: number
  readonly queue: keyof typeof QUEUES
  readonly mayEndWell: boolean
  readonly mayDieOf: readonly DeadReason[]
  readonly effect?: Effect
  /** Sends a follow-up with context.send. */
  readonly sends?: boolean
}

const well = { mayEndWell: true, mayDieOf: [] } as const

export const KINDS = {
  quick: { weight: 24, queue: 'work', ...well },
  deleted: { weight: 12, queue: 'brief', ...well },
  slow: { weight: 9, queue: 'work', ...well },
  /** Seconds long and obedient: what a stop gives back. */
  lingers: { weight: 7, queue: 'work', ...well },
  fails: { weight: 8, queue: 'work', ...well },
  fails_always: { weight: 3, queue: 'work', mayEndWell: false, mayDieOf: ['attempts_exhausted'] },
  unrecoverable: { weight: 2, queue: 'work', mayEndWell: false, mayDieOf: ['unrecoverable'] },
  invalid: { weight: 3, queue: 'work', mayEndWell: false, mayDieOf: ['invalid_payload'] },
  snoozes: { weight: 4, queue: 'work', ...well },
  retry_after: { weight: 4, queue: 'work', ...well },
  /** A step whose end is not known becomes a dead letter: for a person to decide. */
  hold: { weight: 7, queue: 'work', mayEndWell: true, mayDieOf: ['unrecoverable'], effect: 'hold' },
  repeat: { weight: 6, queue: 'work', ...well, effect: 'repeat' },
  transaction: { weight: 7, queue: 'transact', ...well, effect: 'transaction' },
  transaction_sends: { weight: 3, queue: 'transact', ...well, effect: 'transaction', sends: true },
  sends: { weight: 6, queue: 'work', ...well, sends: true },
  large: { weight: 1, queue: 'work', ...well },
  /** Ignores its abort the first time. */
  zombie: { weight: 0.6, queue: 'harsh', ...well },
  /** Ends its process whenever it runs. */
  poison: { weight: 0, queue: 'harsh', mayEndWell: false, mayDieOf: ['attempts_exhausted'] },
  /** What `sends` sends. */
  follow: { weight: 0, queue: 'follow', ...well },
} as const satisfies Record<string, KindRules>

export type Kind = keyof typeof KINDS
export const kinds = Object.keys(KINDS) as [Kind, ...Kind[]]
export const rulesOf = (kind: Kind): KindRules => KINDS[kind]

export const VISIBILITY_TIMEOUT_SECONDS = 3
/** With this code a poison ends its process. */
export const POISON_EXIT = 77

const backoff = { baseSeconds: 0.2, maxSeconds: 1 }
const usual = {
  concurrency: 10,
  visibilityTimeoutSeconds: VISIBILITY_TIMEOUT_SECONDS,
  timeoutMs: 20_000,
  maxAttempts: 8,
  backoff,
} as const

/** How a worker over this transport serves the queues. */
export function servedQueues(transport: 'rpc' | 'postgres') {
  const all = [
    { queue: QUEUES.work, ...usual },
    { queue: QUEUES.brief, ...usual, onSuccess: 'delete' as const },
    { queue: QUEUES.transact, ...usual, usesTransaction: true },
    { queue: QUEUES.harsh, ...usual, concurrency: 4, timeoutMs: 1000, maxAttempts: 3 },
    { queue: QUEUES.follow, ...usual },
  ]
  return all.filter(({ queue }) => transport === 'postgres' || queue !== QUEUES.transact)
}

/** What is sent. `invalid` ones have a text for ms. */
export type Payload = {
  readonly n: number
  readonly kind: Kind
  readonly ms: number | string
  /** How often it fails, or for how many seconds it snoozes, or how long its filler is: by kind. */
  readonly times: number
  readonly delaySeconds: number
  readonly filler?: string
}

/** Names a message in the ledger; a follow-up has the number of the one that sent it. */
export function idOf({ n, kind }: Pick<Payload, 'n' | 'kind'>): string {
  return kind === 'follow' ? `${n}>follow` : String(n)
}
