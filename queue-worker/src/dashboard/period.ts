/** The stretch of time that a queue's charts and errors are about. Pure. */
import type { HistoryPoint, Span } from '../queue/dashboard.ts'
import { PageError } from './asked.ts'

export type Period = Span & {
  /** One of PERIODS; null: since and until were given. */
  readonly name: string | null
  readonly stepSeconds: number
}

type Named = {
  readonly name: string
  readonly label: string
  readonly seconds: number
  readonly step: number
}

export const PERIODS: readonly Named[] = [
  { name: '1h', label: '1 hour', seconds: 3600, step: 60 },
  { name: '6h', label: '6 hours', seconds: 6 * 3600, step: 300 },
  { name: '24h', label: '24 hours', seconds: 24 * 3600, step: 900 },
  { name: '7d', label: '7 days', seconds: 7 * 86_400, step: 7200 },
  { name: '30d', label: '30 days', seconds: 30 * 86_400, step: 6 * 3600 },
]
const [SHORTEST] = PERIODS
const MAX_STEPS = 120

/** Whole steps, so that no bar changes its place while somebody looks. */
export function readPeriod(query: URLSearchParams, now: Date): Period {
  const since = readMoment(query, 'since')
  const until = readMoment(query, 'until') ?? now
  if (since !== undefined) {
    const seconds = (until.getTime() - since.getTime()) / 1000
    if (seconds <= 0)
      throw new PageError(400, 'This period ends before it begins.', 'Give a later end, or none.')
    const step = Math.max(60, Math.ceil(seconds / MAX_STEPS / 60) * 60)
    return { ...wholeSteps(since, until, step), name: null, stepSeconds: step }
  }
  const named = PERIODS.find(({ name }) => name === query.get('period')) ?? SHORTEST
  const { name, seconds, step } = named ?? { name: '1h', seconds: 3600, step: 60 }
  const first = new Date(now.getTime() - (seconds - step) * 1000)
  return { ...wholeSteps(first, now, step), name, stepSeconds: step }
}

/** A moment of a form: in UTC where it names no zone, as `datetime-local` sends it. */
export function readMoment(query: URLSearchParams, name: string): Date | undefined {
  const text = query.get(name)?.trim() ?? ''
  if (text === '') return undefined
  const at = new Date(/[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? `${text}Z` : text)
  if (Number.isNaN(at.getTime()))
    throw new PageError(400, `${name}: this is no time.`, 'Write it as 2026-12-01T09:00, in UTC.')
  return at
}

function wholeSteps(since: Date, until: Date, step: number): Span {
  const floor = (at: Date) => Math.floor(at.getTime() / 1000 / step) * step
  return { since: new Date(floor(since) * 1000), until: new Date((floor(until) + step) * 1000) }
}

/** Columns for a chart, a place for each step: nothing happened where there is no point. */
export type Columns = {
  readonly step: number
  /** Seconds since 1970; the beginning of each step. */
  readonly at: number[]
  readonly sent: (number | null)[]
  readonly succeeded: number[]
  readonly failed: number[]
  readonly dead: number[]
  readonly ranMs: (number | null)[]
  readonly ranMsMax: (number | null)[]
  readonly waitedMs: (number | null)[]
  readonly waitedMsMax: (number | null)[]
}

export function columnsOf(
  points: readonly HistoryPoint[],
  { since, until, stepSeconds: step }: Period,
): Columns {
  const begin = since.getTime() / 1000
  const steps = Math.round((until.getTime() / 1000 - begin) / step)
  const placeOf = (at: string) => Math.floor((new Date(at).getTime() / 1000 - begin) / step)
  const found = new Map(points.map((point) => [placeOf(point.at), point]))
  const isSentKnown = points.some(({ sent }) => sent !== null)
  const each = <T>(of: (point: HistoryPoint | undefined) => T): T[] =>
    Array.from({ length: steps }, (_, place) => of(found.get(place)))
  return {
    step,
    at: Array.from({ length: steps }, (_, place) => begin + place * step),
    sent: each((point) => (isSentKnown ? (point?.sent ?? 0) : null)),
    succeeded: each((point) => (point?.archived ?? 0) + (point?.deleted ?? 0)),
    failed: each((point) => point?.retried ?? 0),
    dead: each((point) => point?.dead ?? 0),
    ranMs: each((point) => point?.ranMs ?? null),
    ranMsMax: each((point) => point?.ranMsMax ?? null),
    waitedMs: each((point) => point?.waitedMs ?? null),
    waitedMsMax: each((point) => point?.waitedMsMax ?? null),
  }
}
