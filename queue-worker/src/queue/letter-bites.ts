/** Many dead letters in calls that each stay within the database's time limit, however many there are and however large. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue } from './contract.ts'
import type { LetterFilter } from './operator.ts'

/** Where some of the letters are that a filter chooses: after one id, up to another. */
type Stretch = { readonly afterId: string | undefined; readonly upToId: string; readonly letters: number }

/** All letters that a filter chooses, as they are at this time: those that die later are not among them. */
export type Survey = {
  /** False: there are newer ones, which were not looked at. */
  readonly isWhole: boolean
  readonly letters: number
  readonly reasons: Readonly<Record<string, number>>
  readonly stretches: readonly Stretch[]
}

/** The most letters that one call handles, and that one looks at when it only counts. */
const MOST = 1000
const MOST_COUNTED = 10_000
/** A call that was quicker than this may be ten times as large. */
const QUICK_MS = 200
const STEP = 10

/** Counts them, oldest first, as long as `goOn` agrees; at least the first call's. */
export async function survey(
  queue: Pick<Queue, 'countDeadLetters'>,
  name: string,
  filter: LetterFilter,
  goOn: () => boolean = () => true,
): Promise<Survey> {
  // So that a connection that cannot be made is not taken for a call that was too large.
  await queue.countDeadLetters(name, { ...filter, limit: 1 })
  const bite = createBite(MOST_COUNTED)
  const reasons: Record<string, number> = {}
  const stretches: Stretch[] = []
  let afterId = filter.afterId
  do {
    const from = afterId
    const found = await bite(MOST_COUNTED, (limit) =>
      queue.countDeadLetters(name, { ...filter, afterId: from, limit }),
    )
    for (const [reason, letters] of Object.entries(found.reasons))
      reasons[reason] = (reasons[reason] ?? 0) + letters
    if (found.newestId !== null)
      stretches.push({ afterId: from, upToId: found.newestId, letters: found.letters })
    afterId = found.next ?? undefined
  } while (afterId !== undefined && goOn())
  return {
    isWhole: afterId === undefined,
    letters: stretches.reduce((sum, { letters }) => sum + letters, 0),
    reasons,
    stretches,
  }
}

/** What one call is to take, and what it took: how many, and the id of the last; null: there was nothing left. */
export type Part = {
  readonly afterId: string | undefined
  readonly upToId: string
  readonly limit: number
}
export type Taken = { readonly count: number; readonly lastId: string | null }

/** Takes the oldest `wanted` of them, as long as `goOn` agrees; returns how many. */
export async function takeLetters(
  { stretches }: Survey,
  wanted: number,
  take: (part: Part) => Promise<Taken>,
  goOn: (taken: number) => boolean = () => true,
): Promise<number> {
  const bite = createBite(MOST)
  let taken = 0
  for (const { afterId: begin, upToId } of stretches) {
    let afterId: string | null | undefined = begin
    while (afterId !== null && afterId !== upToId && taken < wanted) {
      if (!goOn(taken)) return taken
      const from: string | undefined = afterId
      const part = (limit: number) => ({ afterId: from, upToId, limit })
      const bitten: Taken = await bite(wanted - taken, (limit) => take(part(limit)))
      taken += bitten.count
      afterId = bitten.lastId
    }
  }
  return taken
}

/** Calls with as many letters as go well: fewer once the time limit has ended a call, more once one was quick. */
function createBite(most: number) {
  let size = MOST
  return async function bite<T>(wanted: number, call: (limit: number) => Promise<T>): Promise<T> {
    for (;;) {
      const limit = Math.min(size, wanted)
      const begun = performance.now()
      try {
        const answer = await call(limit)
        if (performance.now() - begun < QUICK_MS) size = Math.min(most, Math.max(size, limit * STEP))
        return answer
      } catch (error) {
        const wasTooLarge = error instanceof ConnectionFailure && error.kind === 'timeout' && limit > 1
        if (!wasTooLarge) throw error
        size = Math.ceil(limit / STEP)
      }
    }
  }
}
