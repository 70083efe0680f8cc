/** Why a message ran more than once: finds, for each run that was followed by another, what made that one right. Pure. */
import { countBy } from './count.ts'
import type { Recorded } from './evidence.ts'
import { createExplainer } from './interruption.ts'
import { deliveryKey, type Line, type LineOf } from './journal.ts'
import { idOf } from './kinds.ts'

export type Repeat = {
  readonly id: string
  readonly start: LineOf<'start'>
  /** Null: nothing explains it. */
  readonly reason: string | null
}

type Run = {
  readonly id: string
  readonly start: LineOf<'start'>
  /** The delivery it was a run of; undefined when its worker was given none. */
  readonly read: LineOf<'read'> | undefined
}

const BY_OUTCOME = {
  retry: 'failed, and was retried',
  snooze: 'asked to be put off',
  release: 'given back at a stop',
  dead: 'dead, and redriven',
} as const

/** Every run that was followed by another of the same message (by number, over redrives), with the reason. */
export function explainRepeats(journal: readonly Line[], outcomes: readonly Recorded[]): Repeat[] {
  const recorded = new Map(outcomes.map((one) => [deliveryKey(one), one.outcome]))
  const runs = runsOf(journal)
  const interrupted = createExplainer(journal)
  const reads = Map.groupBy(
    journal.filter((line) => line.what === 'read'),
    ({ queue, msgId }) => `${queue}/${msgId}`,
  )
  const perDelivery = Map.groupBy(runs, ({ read }) => (read === undefined ? '' : deliveryKey(read)))

  return [...Map.groupBy(runs, ({ id }) => id).values()].flatMap((ofMessage) =>
    ofMessage.slice(0, -1).map((run, index) => {
      const next = ofMessage[index + 1]
      return { id: run.id, start: run.start, reason: next === undefined ? null : reasonOf(run, next) }
    }),
  )

  function reasonOf({ read, start }: Run, next: Run): string | null {
    if (read === undefined || next.read === undefined) return null
    const key = deliveryKey(read)
    if ((perDelivery.get(key)?.length ?? 0) > 1) return null
    const outcome = recorded.get(key)
    if (outcome !== undefined) return BY_OUTCOME[outcome]
    if (next.read.msgId !== read.msgId) return null
    const { queue, msgId, delivery, by: life } = read
    const later = reads.get(`${queue}/${msgId}`)?.find((other) => other.delivery > delivery) ?? next.read
    return interrupted({ life, queue, msgId, delivery, startedT: start.t, nextT: later.t })
  }
}

/** What was given back unfinished, and why: counted by reason. */
export function countReleases(
  journal: readonly Line[],
  outcomes: readonly Recorded[],
): Record<string, number> {
  const lives = new Map(
    journal.filter((line) => line.what === 'read').map((line) => [deliveryKey(line), line.by]),
  )
  const stopped = new Set(
    journal.flatMap((line) => (line.what === 'gone' && line.asked === 'SIGTERM' ? [line.life] : [])),
  )
  const ran = new Set(runsOf(journal).flatMap(({ read }) => (read === undefined ? [] : [deliveryKey(read)])))
  const released = outcomes.filter(({ outcome }) => outcome === 'release').map(deliveryKey)
  return countBy(released, (key) => {
    const when = stopped.has(lives.get(key) ?? '') ? 'its worker stopped' : 'its worker went on'
    return `${when}, ${ran.has(key) ? 'in the middle of its run' : 'before it ran'}`
  })
}

/** Each start with the delivery that its worker was given last. */
function runsOf(journal: readonly Line[]): Run[] {
  const given = new Map<string, LineOf<'read'>>()
  const runs: Run[] = []
  for (const line of journal) {
    if (line.what !== 'read' && line.what !== 'start') continue
    const key = `${line.by} ${line.queue} ${line.msgId}`
    if (line.what === 'read') given.set(key, line)
    else runs.push({ id: idOf(line), start: line, read: given.get(key) })
  }
  return runs
}
