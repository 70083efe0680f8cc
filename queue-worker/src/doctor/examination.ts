/** One visit of the doctor as data: for a terminal, for programs, for a file. */
import { SEVERITIES, type Severity } from './finding.ts'
import type { Examined } from './run.ts'

export type Examination = {
  readonly version: string
  /** When, ISO 8601 in UTC. */
  readonly at: string
  /** Where the settings lead; null: nowhere. */
  readonly transport: string | null
  readonly target: string | null
  readonly counts: Readonly<Record<Severity, number>>
  readonly checks: readonly Examined[]
}

export function countSeverities(checks: readonly Examined[]): Record<Severity, number> {
  const all = checks.flatMap(({ findings }) => findings.map(({ severity }) => severity))
  const count = (wanted: Severity) => all.filter((severity) => severity === wanted).length
  const entries = SEVERITIES.map((severity) => [severity, count(severity)] as const)
  return Object.fromEntries(entries) as Record<Severity, number>
}

/** Errors, or warnings where those count as much. */
export function isHealthy({ counts }: Pick<Examination, 'counts'>, isStrict: boolean): boolean {
  return counts.error === 0 && (!isStrict || counts.warning === 0)
}

export function summary({ counts, checks }: Pick<Examination, 'counts' | 'checks'>): string {
  const mended = checks.reduce((sum, one) => sum + one.mended.length, 0)
  const parts = [
    counts.error > 0 ? plural(counts.error, 'error') : '',
    counts.warning > 0 ? plural(counts.warning, 'warning') : '',
    counts.note > 0 ? plural(counts.note, 'note') : '',
    `${counts.ok} in order`,
    counts.skipped > 0 ? `${counts.skipped} not looked at` : '',
    mended > 0 ? `${mended} mended` : '',
  ]
  return `${parts.filter((part) => part !== '').join(', ')}.`
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
