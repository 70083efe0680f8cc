/** What a person on call asks of the queues, and what is answered. Part of the contract; see docs/sql.md. */
import type { DeadReason } from './contract.ts'
import type { Held } from './queue-state.ts'

/** A queue at one glance. `estimated` names the counts that are no exact ones: of 10,000 and more, in flight and retrying of 300 and more. */
export type QueueOverview = Held & {
  readonly queue: string
  readonly ready: number
  readonly inFlight: number
  /** By their producer, by a snooze, or by a redrive with a pace. */
  readonly delayed: number
  /** Failed, and waiting out their backoff. */
  readonly retrying: number
  readonly dead: number
  readonly estimated: readonly ('ready' | 'inFlight' | 'delayed' | 'retrying' | 'dead')[]
  readonly oldestReadySeconds: number | null
  /** That told of themselves lately. */
  readonly workers: number
  readonly lastError: string | null
  readonly lastErrorAt: string | null
}

export type DeadLetter = {
  readonly msgId: string
  readonly originKey: string
  readonly reason: string
  readonly error: string | null
  readonly attempts: number
  readonly deliveries: number
  readonly deadAt: string
  readonly message: unknown
}

/** Which dead letters; all that is given must fit. */
export type LetterFilter = {
  readonly msgIds?: readonly string[] | undefined
  readonly reason?: DeadReason | undefined
  /** A part of the error's text, in upper or lower case. */
  readonly error?: string | undefined
  /** Died then or later; before then. */
  readonly since?: Date | undefined
  readonly before?: Date | undefined
  readonly afterId?: string | undefined
  readonly upToId?: string | undefined
}

type Limited = LetterFilter & {
  /** At most this many, the oldest first: 100 if not given, at most 1000. */
  readonly limit?: number | undefined
}

export type ListOptions = Limited & {
  /** False: without the originals, which may be large. */
  readonly withMessages?: boolean | undefined
}

export type RedriveOptions = Limited & {
  /** Lets steps whose end is not known run again (see `once`); a person's decision. */
  readonly forgetUncertain?: boolean | undefined
  /** One by one at this rate: each is delayed by its place, so the pace holds without anybody waiting for it. */
  readonly perSecond?: number | undefined
  /** The first one is delayed by this. */
  readonly delaySeconds?: number | undefined
  /** Who does it, for the audit; else it is not in there. */
  readonly by?: string | undefined
}

export type DiscardOptions = Limited & {
  /** Without any other choice: this must be said. */
  readonly all?: boolean | undefined
  /** Who does it, for the audit; else it is not in there. */
  readonly by?: string | undefined
}

export type CountOptions = LetterFilter & {
  /** Looks at so many at most, whether they fit or not. */
  readonly limit?: number | undefined
}

export type LetterCount = {
  readonly letters: number
  readonly newestId: string | null
  readonly reasons: Readonly<Record<string, number>>
  /** `afterId` to go on from; null: it looked at all. */
  readonly next: string | null
}

/** How one delivery ended: with an outcome, `interrupted` (with none), or not yet (`in_flight`). */
export type Delivery = {
  readonly delivery: number
  readonly outcome: string
  readonly at: string | null
  readonly error: string | null
  readonly workerId: string | null
  /** When it began to run alone, as a suspect. */
  readonly aloneSince: string | null
}

export type Step = {
  readonly step: string
  readonly state: 'started' | 'done'
  readonly result: unknown
  readonly startedBy: string | null
  readonly startedAt: string
  readonly doneAt: string | null
}

export type Inspected =
  | { readonly queue: string; readonly msgId: string; readonly state: 'unknown' }
  | {
      readonly queue: string
      readonly msgId: string
      readonly state:
        | 'ready'
        | 'in_flight'
        | 'delayed'
        | 'retrying'
        | 'archived'
        | 'dead'
        | 'redriven'
        | 'gone'
      readonly originKey: string
      readonly enqueuedAt: string
      readonly visibleAt: string | null
      readonly archivedAt: string | null
      readonly message: unknown
      readonly headers: unknown
      readonly deadMsgId: string | null
      readonly deadLetter: Readonly<Record<string, unknown>> | null
      readonly redrivenAs: string | null
      readonly sentWithKey: string | null
      readonly failures: number
      readonly deliveries: readonly Delivery[]
      readonly steps: readonly Step[]
    }

export type PruneOptions = {
  /** Records older than this go: 30 if not given; 0: none. */
  readonly days?: number | undefined
  /** Archives by queue; they win over what the database says of a queue. 0: kept for ever. */
  readonly archiveDays?: Readonly<Record<string, number>> | undefined
  readonly limit?: number | undefined
  /** `next` of the answer before. */
  readonly after?: Readonly<Record<string, string>> | null | undefined
}

/** What one call deleted, by kind, and where to go on; null: nothing is left. */
export type Pruned = {
  readonly deleted: Readonly<Record<string, number>>
  readonly next: Readonly<Record<string, string>> | null
}

/** The operator's part of the queue. */
export type Operator = {
  /** All queues but the dead-letter queues, or those named; cheap at any depth. */
  overview(queues?: readonly string[]): Promise<QueueOverview[]>
  inspect(queue: string, msgId: string): Promise<Inspected>
  /** Those that fit into 8 MiB, at least one: only an empty answer is the last. */
  deadLetters(queue: string, options: ListOptions): Promise<DeadLetter[]>
  countDeadLetters(queue: string, options: CountOptions): Promise<LetterCount>
  redrive(queue: string, options: RedriveOptions): Promise<{ deadMsgId: string; msgId: string }[]>
  discardDeadLetters(
    queue: string,
    options: DiscardOptions,
  ): Promise<{ discarded: number; lastId: string | null }>
  /** One bite; `pruneAll` takes all. */
  prune(options: PruneOptions): Promise<Pruned>
}
