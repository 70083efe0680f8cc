/** Finds variables that were meant for us and are misspelt. */
import { type Environment, given } from './gather.ts'
import { QUEUE_SUFFIXES, queuePrefix, splitOverride } from './overrides.ts'
import { KNOWN_NAMES } from './settings.ts'

/** Prefixes that are ours alone: an unknown name below them is always worth a word. */
const OURS = /^(WORKER|SMTP|SCHEDULER)_/
/** Prefixes we share with others: only a near miss is worth a word. */
const SHARED = /^(DASHBOARD|SUPABASE|DATABASE|QUEUE|QUEUES|EMAIL|PROCESSOR|CONNECT|LOG)_?/

/** One warning for each variable that is not known but looks as if it were meant. */
export function typoWarnings(env: Environment, queues: readonly string[]): string[] {
  const prefixes = queues.map(queuePrefix)
  const known = [
    ...KNOWN_NAMES,
    ...prefixes.flatMap((prefix) => QUEUE_SUFFIXES.map((suffix) => `${prefix}_${suffix}`)),
  ]
  // A team's own processors bring queues that nobody knows yet; whatever reads like a setting of one may be one.
  const hasOwn = given(env, 'PROCESSORS') !== undefined
  const names = Object.keys(env)
    .filter((name) => given(env, name) !== undefined && !known.includes(name))
    .filter((name) => !(hasOwn && splitOverride(name) !== undefined))
  return names.flatMap((name) => {
    const near = nearest(name, known)
    const close = near !== undefined && near.distance <= Math.max(1, Math.min(3, Math.floor(name.length / 5)))
    const hint = near !== undefined && near.distance <= name.length / 2 ? `; did you mean ${near.name}?` : ''
    if (OURS.test(name)) return [`${name} is not a setting${hint}`]
    const perQueue =
      prefixes.some((prefix) => name.startsWith(`${prefix}_`)) || splitOverride(name) !== undefined
    return close && (perQueue || SHARED.test(name)) ? [`${name} is not a setting${hint}`] : []
  })
}

function nearest(name: string, known: readonly string[]): { name: string; distance: number } | undefined {
  let best: { name: string; distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(name, candidate)
    if (best === undefined || distance < best.distance) best = { name: candidate, distance }
  }
  return best
}

/** Letters to insert, remove, replace or swap with their neighbour to make `b` out of `a`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + same,
        swapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforeLast = last
    last = current
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
