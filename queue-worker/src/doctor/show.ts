/** An examination as text for people: at a terminal, and as Markdown. Pure. */
import { printable } from '../utils/printable.ts'
import { type Examination, summary } from './examination.ts'
import { type Finding, GROUPS, type Severity } from './finding.ts'
import type { Examined } from './run.ts'

const SIGNS: Readonly<Record<Severity, string>> = {
  ok: '✓',
  note: '·',
  warning: '!',
  error: '✗',
  skipped: '–',
}
const COLOURS: Readonly<Record<Severity, string>> = {
  ok: '32',
  note: '36',
  warning: '33',
  error: '31',
  skipped: '90',
}

type Paint = (text: string, colour: string) => string

export function showTerminal(examination: Examination, hasColours: boolean): string {
  const paint: Paint = (text, colour) => (hasColours ? `\u001b[${colour}m${text}\u001b[0m` : text)
  const lines: string[] = []
  for (const group of GROUPS) {
    const checks = examination.checks.filter((one) => one.group === group)
    const shown = checks.flatMap((one) => [
      ...one.mended.map((did) => `  ${paint('✓', COLOURS.ok)} mended: ${did}`),
      ...one.findings.filter(({ severity }) => severity !== 'skipped').flatMap((one) => lineOf(one, paint)),
    ])
    for (const [reason, names] of skippedBy(checks))
      shown.push(
        `  ${paint(`${SIGNS.skipped} not looked at: ${names.join(', ')} (${reason})`, COLOURS.skipped)}`,
      )
    if (shown.length > 0) lines.push(paint(group, '1'), ...shown, '')
  }
  return [...lines, paint(summary(examination), '1'), ...advice(examination)].join('\n')
}

/** Findings alone, without colours. */
export function showFindings(findings: readonly Finding[]): string {
  return findings.flatMap((one) => lineOf(one, (text) => text)).join('\n')
}

function lineOf({ severity, what, why, how }: Finding, paint: Paint): string[] {
  const indented = (text: string) => printable(text).replaceAll('\n', '\n    ')
  const line = `  ${paint(SIGNS[severity], COLOURS[severity])} ${indented(what)}`
  if (severity === 'ok') return [line]
  return [
    line,
    ...[why && `    ${indented(why)}`, how && `    → ${indented(how)}`].filter((text) => text !== ''),
  ]
}

export function showMarkdown(examination: Examination): string {
  const { version, at, transport, target, checks } = examination
  const lines = [
    `# queue-worker doctor, ${at}`,
    '',
    `Version ${version}; ${transport === null ? 'no connection' : `${transport} to ${target}`}. ${summary(examination)}`,
  ]
  for (const group of GROUPS) {
    const found = checks.filter((one) => one.group === group)
    const items = found.flatMap((one) => [
      ...one.mended.map((did) => `- **mended**: ${did}`),
      ...one.findings.map(({ id, severity, what, why, how }) => {
        const more = severity === 'ok' ? [] : [why, how].filter((text) => text !== '')
        return [`- **${severity}** \`${id}\`: ${what}`, ...more].join('\n').replaceAll('\n', '\n  ')
      }),
    ])
    if (items.length > 0) lines.push('', `## ${group}`, '', ...items)
  }
  return `${lines.join('\n')}\n`
}

/** Skipped checks by their reason. */
function skippedBy(checks: readonly Examined[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { check, findings } of checks) {
    const reason = findings.find(({ severity }) => severity === 'skipped')?.how
    if (reason !== undefined) found.set(reason, [...(found.get(reason) ?? []), check])
  }
  return found
}

function advice({ checks }: Examination): string[] {
  const count = checks.filter(({ canMend }) => canMend).length
  if (count === 0) return []
  const what = checks.filter(({ canMend }) => canMend).map(({ check }) => check)
  return [`npx queue-worker doctor --fix mends what it safely can of: ${what.join(', ')}.`]
}
