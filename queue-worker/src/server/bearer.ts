/** Who may: a bearer token, compared in a time that tells nothing about it, and few tries at guessing one. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer } from './answer.ts'

export type Bearer = {
  /** False: it was answered (401, or 429 where wrong tokens come too fast), and nothing of its body was read. */
  admits(request: IncomingMessage, response: ServerResponse): boolean
}

/** So many wrong tokens are told that they are wrong in any minute; a right one is never kept out for others' sake. */
const WRONG_PER_MINUTE = 30
const MINUTE_MS = 60_000

/** `onWrong`: the first wrong token of a minute, for the log. */
export function createBearer(
  tokens: readonly string[],
  onWrong: () => void,
  now: () => number = () => performance.now(),
): Bearer {
  const digests = tokens.map(digest)
  let minuteBeganMs = Number.NEGATIVE_INFINITY
  let wrong = 0

  function isKnown(given: string): boolean {
    const asked = digest(given)
    // All of them, whatever the first says.
    return digests.map((one) => timingSafeEqual(one, asked)).includes(true)
  }

  /** Seconds until wrong tokens are listened to again; 0: they are. */
  function closedForSeconds(): number {
    if (now() - minuteBeganMs >= MINUTE_MS) {
      minuteBeganMs = now()
      wrong = 0
      onWrong()
    }
    wrong += 1
    return wrong > WRONG_PER_MINUTE ? Math.ceil((minuteBeganMs + MINUTE_MS - now()) / 1000) : 0
  }

  return {
    admits({ headers: { authorization = '' } }, response) {
      const [, given] = /^bearer +(\S+) *$/i.exec(authorization) ?? []
      if (given !== undefined && isKnown(given)) return true
      const seconds = given === undefined ? 0 : closedForSeconds()
      const close = { connection: 'close' }
      if (seconds > 0) {
        const error = 'too many wrong tokens; try again later'
        answer(response, 429, { error }, { ...close, 'retry-after': String(seconds) })
      } else {
        const error =
          given === undefined
            ? 'a token is needed: Authorization: Bearer …'
            : 'this token is not the right one'
        answer(response, 401, { error }, { ...close, 'www-authenticate': 'Bearer realm="queue-worker"' })
      }
      return false
    },
  }
}

/** Of one length whatever was given, as a comparison in constant time needs. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
