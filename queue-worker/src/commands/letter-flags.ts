/** Which dead letters a person means: flags of the command line turned into a filter. Pure. */
import type { DeadReason } from '../queue/contract.ts'
import type { LetterFilter } from '../queue/operator.ts'

export type LetterFlags = {
  reason?: DeadReason
  error?: string
  since?: Date
  before?: Date
  limit?: number
  all?: boolean
  dryRun?: boolean
  json?: boolean
}

export function toFilter(ids: readonly string[], flags: LetterFlags): LetterFilter {
  const { reason, error, since, before } = flags
  return { msgIds: ids.length > 0 ? ids : undefined, reason, error, since, before }
}

export function hasChoice(ids: readonly string[], flags: LetterFlags): boolean {
  return Object.values(toFilter(ids, flags)).some((value) => value !== undefined)
}
