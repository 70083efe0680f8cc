/**
 * Why a delivery ended without an outcome, so that its message came again. A fault at that time is not enough: the worker
 * itself must have noted that it was killed or stood still, or that a call for this very delivery failed or hung. Pure.
 */
import { deliveryKey, type Line, type LineOf } from './journal.ts'
import { POISON_EXIT, VISIBILITY_TIMEOUT_SECONDS } from './kinds.ts'
import type { FaultKind } from './plan-faults.ts'

export type Interrupted = {
  readonly life: string
  readonly queue: string
  readonly msgId: string
  readonly delivery: number
  /** Its run began then, and some worker was given its next delivery. */
  readonly startedT: number
  readonly nextT: number
}

type Trouble = LineOf<'stall'> | LineOf<'failed'>
type Span = { readonly fault: LineOf<'fault'>; readonly from: number; readonly to: number }

const LEASE_MS = VISIBILITY_TIMEOUT_SECONDS * 1000
/** Without any fault, this much of a lease must have gone by in standing still: heartbeats come three times a lease. */
const SLOW_MS = LEASE_MS / 2
/** A freeze is longer than the lease; its end is told by a timer that is late by about as much. */
const FROZEN_MS = LEASE_MS / 3
/** A connection that lost something in silence is noticed only at the client's time limit of 30 s. */
const SILENT_TAIL_MS = 35_000
/** Servers and connections need a moment after a fault: a backoff runs out, a schema is read again. */
const TAIL_MS = 5000
/** A lock that ends is over at once; so is a disk that has space again. */
const QUEUE_TAIL_MS = 1000
/** The times of two processes: written by the same clock, read a moment apart. */
const CLOCK_MS = 20
const NETWORK: readonly string[] = ['slow', 'silent', 'held', 'half_answer', 'hang_up'] satisfies FaultKind[]

/** Returns what explains an interruption; null: nothing does, or its message came again while it was still held. */
export function createExplainer(journal: readonly Line[]): (one: Interrupted) => string | null {
  const spans = spansOf(journal)
  const gone = new Map(journal.filter((line) => line.what === 'gone').map((line) => [line.life, line]))
  const troubles = Map.groupBy(
    journal.filter((line) => line.what === 'stall' || line.what === 'failed'),
    ({ by }) => by,
  )
  const holds = Map.groupBy(
    journal.filter((line) => line.what === 'read' || line.what === 'held'),
    (line) => `${line.by} ${deliveryKey(line)}`,
  )
  const stopping = new Map(
    journal.filter((line) => line.what === 'stopping').map((line) => [line.by, line.t]),
  )
  const lost = new Map(
    journal
      .filter((line) => line.what === 'lease_lost')
      .map((line) => [`${line.by} ${deliveryKey(line)}`, line]),
  )
  const settled = Map.groupBy(
    journal.filter((line) => line.what === 'settled'),
    (line) => `${line.by} ${deliveryKey(line)}`,
  )

  return (one) => {
    const { life, queue, startedT, nextT } = one
    const key = deliveryKey(one)
    const held = holds.get(`${life} ${key}`) ?? []
    const untilOf = (lines: typeof held) => Math.max(...lines.map((line) => line.until))
    const until = untilOf(held.filter(({ t }) => t <= nextT))
    // By its own clock it may have let go before the answer came that would have let it go on: that one is no use to it.
    const lostT = lost.get(`${life} ${key}`)?.t ?? nextT
    const countedOn = untilOf(held.filter(({ t }) => t <= Math.min(lostT, nextT)))
    // A late delete of what another has deleted meanwhile is answered "already" too: there is nothing to compare it with.
    const isSettled = settled
      .get(`${life} ${key}`)
      ?.some(({ status, t }) => status === 'ok' || (status === 'already' && t <= nextT))
    // No fault makes these right: it was still this worker's, or it was told that its outcome is recorded.
    if (nextT < until - CLOCK_MS || isSettled) return null

    const end = gone.get(life)
    if (end !== undefined && end.t >= startedT && end.t <= nextT) {
      if (end.asked === 'SIGKILL') return 'its worker was killed while it had it'
      if (end.code === POISON_EXIT) return 'its worker was taken along by a poison message'
    }
    const slot = life.split('#')[0] ?? ''
    // From the last time that it surely held it.
    const since = countedOn - LEASE_MS
    const ofLife = troubles.get(life) ?? []
    const own = ofLife.filter(({ t, ms }) => t >= since && t - ms <= nextT)
    const stoodStill = own.filter((trouble) => trouble.of === undefined)
    const inVain = own.filter((trouble) => trouble.of?.includes(key))
    const struckBy = (trouble: Trouble, isTheirs: (fault: LineOf<'fault'>) => boolean) =>
      spans.some(
        ({ fault, from, to }) => trouble.t >= from && trouble.t - trouble.ms <= to && isTheirs(fault),
      )

    const isFrozen = (fault: LineOf<'fault'>) => fault.kind === 'freeze' && fault.target === slot
    if (stoodStill.some((trouble) => trouble.ms > FROZEN_MS && struckBy(trouble, isFrozen))) {
      return 'its worker was frozen for longer than the lease'
    }
    if (inVain.some((trouble) => struckBy(trouble, (fault) => isOutageOf(fault, slot, queue)))) {
      return 'an outage outlasted its visibility timeout'
    }
    // A stop waits only so long for outcomes to be recorded; until then its heartbeats may have come through.
    const stopT = Math.max(stopping.get(life) ?? Number.POSITIVE_INFINITY, startedT)
    const atStop = ofLife.filter(({ t, of }) => t >= stopT && t <= nextT && of?.includes(key))
    if (atStop.some((trouble) => struckBy(trouble, (fault) => isOutageOf(fault, slot, queue)))) {
      return 'its worker stopped in an outage that outlasted the stop'
    }
    const isShared = (trouble: Trouble) => (fault: LineOf<'fault'>) =>
      isOfQueue(fault) && trouble.queues?.includes(fault.target) === true
    if (inVain.some((trouble) => struckBy(trouble, isShared(trouble)))) {
      return 'a call for it was held up by another queue, which was locked or out of disk'
    }
    const waits = [...stoodStill, ...inVain].map(({ t, ms }) => [t - ms, t] as const)
    // A lease begins when it is asked for: what it took to be given it is gone of it.
    const asked = held.filter(({ t }) => t <= nextT).map(({ t, until }) => [until - LEASE_MS, t] as const)
    const slowMs = union([...waits, ...asked].map(([from, to]) => [Math.max(from, since), to]))
    return slowMs >= SLOW_MS ? 'its worker, the database or the machine was too slow' : null
  }
}

function isOutageOf({ kind, target }: LineOf<'fault'>, slot: string, queue: string): boolean {
  if (NETWORK.includes(kind)) return target === slot
  switch (kind) {
    case 'postgres_fast':
    case 'postgres_immediate':
    case 'mend':
      return true
    case 'postgrest_kill':
      return slot.startsWith('rpc-')
    case 'terminate':
    case 'connections':
      return slot.startsWith(`${target}-`)
    case 'lock':
    case 'disk':
      return target === queue
    default:
      return false
  }
}

function isOfQueue({ kind }: LineOf<'fault'>): boolean {
  return kind === 'lock' || kind === 'disk'
}

function spansOf(journal: readonly Line[]): Span[] {
  const faults = journal.filter((line) => line.what === 'fault')
  const ends = new Map(faults.filter(({ phase }) => phase === 'end').map((line) => [line.id, line.t]))
  const voided = new Set(faults.filter(({ phase }) => phase === 'void').map(({ id }) => id))
  return faults
    .filter(({ phase, id }) => phase === 'begin' && !voided.has(id))
    .map((fault) => ({
      fault,
      from: fault.t,
      to: (ends.get(fault.id) ?? Number.POSITIVE_INFINITY) + tailMs(fault),
    }))
}

function tailMs(fault: LineOf<'fault'>): number {
  if (isOfQueue(fault)) return QUEUE_TAIL_MS
  return fault.kind === 'silent' ? SILENT_TAIL_MS : TAIL_MS
}

/** How long the intervals cover together. */
function union(intervals: readonly [from: number, to: number][]): number {
  let coveredTo = Number.NEGATIVE_INFINITY
  let sum = 0
  for (const [from, to] of intervals.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, to - Math.max(from, coveredTo))
    coveredTo = Math.max(coveredTo, to)
  }
  return sum
}
