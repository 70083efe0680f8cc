/** How many wrong tokens were shown, to whatever asks for one: guessing is told nothing after a few tries. */

export type Guesses = {
  /** One more was wrong. Seconds until that is told again; 0: it may be told of this one. */
  countWrong(where: string): number
}

/** So many wrong tokens are told that they are wrong in any minute; a right one is never kept out for others' sake. */
const WRONG_PER_MINUTE = 30
const MINUTE_MS = 60_000

/** `onFirst`: the first wrong token of a minute, for the log. */
export function createGuesses(
  onFirst: (where: string) => void,
  now: () => number = () => performance.now(),
): Guesses {
  let minuteBeganMs = Number.NEGATIVE_INFINITY
  let wrong = 0
  return {
    countWrong(where) {
      if (now() - minuteBeganMs >= MINUTE_MS) {
        minuteBeganMs = now()
        wrong = 0
        onFirst(where)
      }
      wrong += 1
      return wrong > WRONG_PER_MINUTE ? Math.ceil((minuteBeganMs + MINUTE_MS - now()) / 1000) : 0
    },
  }
}
