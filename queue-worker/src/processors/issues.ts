import type { z } from 'zod'

export type Issue = { readonly field: string; readonly reason: string }

/** How many of a payload's mistakes are told, and how many characters of each. */
const MAX_ISSUES = 20
const MAX_LENGTH = 1000

/** A payload may have a million mistakes. What is too long is left out whole: half a secret would not be found. */
export function tellIssues(
  issues: readonly z.core.$ZodIssue[],
  whole = 'payload',
): { readonly shown: readonly Issue[]; readonly more: number } {
  const shown = issues.slice(0, MAX_ISSUES).map((issue) => {
    const field = issue.path.map(String).join('.') || whole
    const unknown = issue.code === 'unrecognized_keys' ? `${issue.keys.length} unknown keys` : issue.code
    return { field: unlessLong(field, 'somewhere deep'), reason: unlessLong(issue.message, unknown) }
  })
  return { shown, more: issues.length - shown.length }
}

function unlessLong(text: string, instead: string): string {
  return text.length > MAX_LENGTH ? instead : text
}
