/**
 * What really happened, in the order it happened: a file to which every process appends whole lines. A file and not a
 * table: it stands for the world outside, which a PostgreSQL that stops does not take along. A write is either in it or
 * not, and the writer knows, also when it is killed the moment after; so an effect noted here is neither lost nor uncertain.
 */
import { openSync, readFileSync, writeSync } from 'node:fs'
import type { Kind } from './kinds.ts'

/** Who and when: `by` is one life of a worker ("rpc-1#3"), or "soak". */
type Common = { readonly t: number; readonly by: string }
type OfMessage = { readonly queue: string; readonly msgId: string }
type OfRun = OfMessage & {
  readonly n: number
  readonly kind: Kind
  readonly attempt: number
  readonly key: string
  readonly pid: number
}

/** What a call was about: the queues it named, and the deliveries it was to extend or to settle. */
type OfCall = { readonly call: string; readonly queues: readonly string[]; readonly of: readonly string[] }

type OfKinds<What, Fields> = What extends string ? { readonly what: What } & Fields : never

export type Note =
  /** A worker was given a delivery, or holds it longer; it is nobody else's before `until`. */
  | OfKinds<'read' | 'held', { readonly delivery: number; readonly until: number } & OfMessage>
  /** A processor began; ended well; did its effect; began too early; a zombie ended. */
  | OfKinds<'start' | 'end' | 'effect' | 'early' | 'zombie_end', OfRun>
  | OfKinds<'lease_lost' | 'isolated', { readonly delivery: number } & OfMessage>
  | ({
      readonly what: 'settled'
      readonly delivery: number
      readonly outcome: string
      readonly status: string
    } & OfMessage)
  /** Until just now a worker's event loop stood still, or a call of its was not answered, for so long. */
  | ({ readonly what: 'stall'; readonly ms: number } & Partial<OfCall>)
  /** A call failed after so long. */
  | ({ readonly what: 'failed'; readonly ms: number; readonly text: string } & OfCall)
  | { readonly what: 'born'; readonly pid: number }
  /** It was asked to stop. */
  | { readonly what: 'stopping' }
  | {
      readonly what: 'gone'
      readonly life: string
      readonly code: number | null
      readonly signal: string | null
      readonly asked: string | null
    }
  | {
      readonly what: 'fault'
      readonly id: number
      readonly kind: string
      readonly target: string
      /** void: it found nothing to strike. */
      readonly phase: 'begin' | 'end' | 'void'
    }
  | { readonly what: 'sent'; readonly n: number; readonly sentAs: string }
  /** Something that must not be, found on the way: a stop that takes too long, a second id for one key. */
  | { readonly what: 'wrong'; readonly text: string }
  | { readonly what: 'said'; readonly text: string }

/** The number of the fault that the mending at the end is: connections are cut once more. */
export const MEND_ID = 0

export type Line = Common & Note
export type LineOf<What extends Note['what']> = Extract<Line, { what: What }>

export type Journal = { note(note: Note): void }

export function openJournal(path: string, by: string): Journal {
  const file = openSync(path, 'a')
  return {
    note: (note) => void writeSync(file, `${JSON.stringify({ t: Date.now(), by, ...note })}\n`),
  }
}

/** Names a delivery, in the journal and in the ledger. */
export function deliveryKey(one: { queue: string; msgId: string; delivery: number }): string {
  return `${one.queue}/${one.msgId}/${one.delivery}`
}

/** In the order of the file, which is the order of the writes. */
export function readJournal(path: string): Line[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Line)
}

/** The lines of one kind, in order. */
export function lines<What extends Line['what']>(journal: readonly Line[], what: What): LineOf<What>[] {
  return journal.filter((line): line is LineOf<What> => line.what === what)
}
