/** What the doctor tells: findings, and the checks that make them. */

/** From harmless to bad; `skipped`: nobody could look. */
export const SEVERITIES = ['ok', 'note', 'warning', 'error', 'skipped'] as const
export type Severity = (typeof SEVERITIES)[number]

export type Finding = {
  /** Stable, for programs; docs/doctor.md has a line for each. */
  readonly id: string
  readonly severity: Severity
  readonly what: string
  /** Why it matters; empty where there is nothing to mend. */
  readonly why: string
  readonly how: string
}

/** Mends what was found and tells what it did. Doing it again is harmless. */
export type Mend = () => Promise<string>

export type MendableFinding = Finding & { readonly mend?: Mend | undefined }

/** The headings of the report, in their order. */
export const GROUPS = [
  'Files',
  'Settings',
  'Connection',
  'Database',
  'Queues',
  'Other systems',
  'Workers',
] as const
export type Group = (typeof GROUPS)[number]

/** What a check may find: each with its severity and why it matters. */
export type Catalog = Readonly<Record<string, { readonly severity: Severity; readonly why: string }>>

/** `how`: what a person does about it. */
export type Tell<C extends Catalog> = (
  id: keyof C & string,
  what: string,
  how?: string,
  mend?: Mend,
) => MendableFinding

export type Check<P> = {
  /** That of its file. */
  readonly name: string
  readonly group: Group
  /** Names of checks that must have found no error, as this one would only repeat it. */
  readonly needs: readonly string[]
  readonly limitMs: number
  readonly catalog: Catalog
  run(parts: P): Promise<readonly MendableFinding[]>
}

const LIMIT_MS = 20_000

/** A check that can tell what is in its catalog, and nothing else. */
export function defineCheck<P, C extends Catalog>(check: {
  name: string
  group: Group
  needs?: readonly string[]
  limitMs?: number
  catalog: C
  run(parts: P, tell: Tell<C>): Promise<readonly MendableFinding[]>
}): Check<P> {
  const tell: Tell<C> = (id, what, how = '', mend = undefined) => {
    const { severity, why } = check.catalog[id] ?? { severity: 'error', why: '' }
    return { id, severity, what, why, how, mend }
  }
  const { needs = [], limitMs = LIMIT_MS } = check
  return { ...check, needs, limitMs, run: (parts) => check.run(parts, tell) }
}
