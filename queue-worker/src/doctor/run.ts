/** Runs checks one after the other: within their time, mending where that is wanted, skipping what cannot be looked at. */
import { ConnectionFailure, coerceError, SetupError } from '../errors.ts'
import { withoutSecrets } from '../services/failures.ts'
import type { Check, Finding, Group, MendableFinding } from './finding.ts'

export type Examined = {
  readonly check: string
  readonly group: Group
  readonly findings: readonly Finding[]
  /** What was done about what had been found; the findings are those after it. */
  readonly mended: readonly string[]
  /** Whether something of it can be mended by `--fix`. */
  readonly canMend: boolean
  readonly tookMs: number
}

export type RunOptions = {
  readonly fix: boolean
  /** Removes the secrets from what is told. */
  readonly clean: (text: string) => string
  /** No further check is begun then. */
  readonly isStopped: () => boolean
}

/** Findings that any check can have; like the catalogs of the checks. */
export const COMMON = {
  skipped: { severity: 'skipped', why: 'It could only repeat what was found before.' },
  check_timed_out: {
    severity: 'error',
    why: 'Whatever it asked does not answer in time, and neither would it answer a worker.',
  },
  check_failed: { severity: 'error', why: 'The check itself could not be done.' },
  mend_failed: { severity: 'error', why: 'What was found is as it was.' },
} as const

/** `parts` as a text: why nothing can be examined. Never throws. */
export async function runChecks<P extends object>(
  checks: readonly Check<P>[],
  parts: P | string,
  options: RunOptions,
): Promise<Examined[]> {
  const done: Examined[] = []
  /** Checks that found an error or were skipped, each with the one where it began. */
  const roots = new Map<string, string>()
  for (const check of checks) {
    const root = check.needs.map((need) => roots.get(need)).find((one) => one !== undefined)
    const first = root === undefined ? undefined : `mend what was found for ${root} first`
    const reason = options.isStopped() ? 'the doctor was stopped' : typeof parts === 'string' ? parts : first
    const examined =
      typeof parts === 'string' || reason !== undefined
        ? skipped(check, reason ?? '')
        : await examine(check, parts, options)
    if (examined.findings.some(({ severity }) => severity === 'error' || severity === 'skipped'))
      roots.set(check.name, root ?? check.name)
    done.push(examined)
  }
  return done
}

function skipped({ name, group }: Pick<Check<never>, 'name' | 'group'>, reason: string): Examined {
  const finding: Finding = {
    id: 'skipped',
    ...COMMON.skipped,
    what: `${name} was not looked at`,
    how: reason,
  }
  return { check: name, group, findings: [finding], mended: [], canMend: false, tookMs: 0 }
}

async function examine<P>(check: Check<P>, parts: P, { fix, clean }: RunOptions): Promise<Examined> {
  const beganMs = performance.now()
  let found = await attempt(check, parts)
  const mended: string[] = []
  const troubles: Finding[] = []
  if (fix && found.some(({ mend }) => mend !== undefined)) {
    for (const { mend, what } of found) {
      if (mend === undefined) continue
      try {
        mended.push(clean(await mend()))
      } catch (error) {
        troubles.push(unmended(what, error))
      }
    }
    found = await attempt(check, parts)
  }
  return {
    check: check.name,
    group: check.group,
    findings: [...found, ...troubles].map((finding) => cleaned(finding, clean)),
    mended,
    canMend: found.some(({ mend }) => mend !== undefined),
    tookMs: Math.round(performance.now() - beganMs),
  }
}

async function attempt<P>(check: Check<P>, parts: P): Promise<readonly MendableFinding[]> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<MendableFinding[]>((resolve) => {
    const what = `${check.name}: no result within ${check.limitMs / 1000} s`
    const how = 'Look for a server or a network that hangs, then run the doctor again.'
    timer = setTimeout(resolve, check.limitMs, [
      { id: 'check_timed_out', ...COMMON.check_timed_out, what, how },
    ])
  })
  try {
    return await Promise.race([check.run(parts), limit])
  } catch (error) {
    return [{ id: 'check_failed', ...COMMON.check_failed, ...told(check.name, error) }]
  } finally {
    clearTimeout(timer)
  }
}

function unmended(what: string, error: unknown): Finding {
  return { id: 'mend_failed', ...COMMON.mend_failed, ...told(`not mended (${what})`, error) }
}

function told(about: string, thrown: unknown): { what: string; how: string } {
  const error = coerceError(thrown)
  const isOurs = error instanceof ConnectionFailure || error instanceof SetupError
  return { what: `${about}: ${error.message}`, how: isOurs ? error.remedy : 'Mend what it names.' }
}

function cleaned(
  { id, severity, what, why, how }: MendableFinding,
  clean: (text: string) => string,
): Finding {
  const tidy = (text: string) => withoutSecrets(clean(text))
  return { id, severity, what: tidy(what), why, how: tidy(how) }
}
