/** Compares what somebody shows with what is secret, in a time that tells nothing about it. Pure. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** What tells which of the tokens was shown; -1: none of them. */
export function tokenFinder(tokens: readonly string[]): (given: string) => number {
  const digests = tokens.map(digest)
  return (given) => {
    const asked = digest(given)
    // All of them, whatever the first says.
    return digests.map((one) => timingSafeEqual(one, asked)).indexOf(true)
  }
}

export function isSameText(given: string, secret: string): boolean {
  return timingSafeEqual(digest(given), digest(secret))
}

/** Of one length whatever was given, as a comparison in constant time needs. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
