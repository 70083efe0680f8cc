/** Who may: a bearer token. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer } from './answer.ts'
import type { Guesses } from './guesses.ts'
import { tokenFinder } from './tokens.ts'

export type Bearer = {
  /** False: it was answered (401, or 429 where wrong tokens come too fast), and nothing of its body was read. */
  admits(request: IncomingMessage, response: ServerResponse): boolean
}

/** `where` tells the log what the tokens open. */
export function createBearer(tokens: readonly string[], guesses: Guesses, where: string): Bearer {
  const find = tokenFinder(tokens)
  return {
    admits(request, response) {
      const given = shownToken(request)
      if (given !== undefined && find(given) >= 0) return true
      refuseBearer(response, given === undefined ? null : guesses.countWrong(where))
      return false
    },
  }
}

/** The token that a request shows; undefined: none. */
export function shownToken({ headers: { authorization = '' } }: IncomingMessage): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1]
}

/** `closedForSeconds` as the guesses count it; null: no token was shown. */
export function refuseBearer(response: ServerResponse, closedForSeconds: number | null): void {
  const close = { connection: 'close' }
  if (closedForSeconds !== null && closedForSeconds > 0) {
    const error = 'too many wrong tokens; try again later'
    answer(response, 429, { error }, { ...close, 'retry-after': String(closedForSeconds) })
  } else {
    const error =
      closedForSeconds === null
        ? 'a token is needed: Authorization: Bearer …'
        : 'this token is not the right one'
    answer(response, 401, { error }, { ...close, 'www-authenticate': 'Bearer realm="queue-worker"' })
  }
}
