/** Visits of the doctor, as a person makes them: the real command in a folder, its findings read from `--json`. */
import type { Examination } from '../../src/doctor/examination.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { type Env, entry, run } from './cli.ts'

export type Visit = {
  readonly code: number | string
  readonly text: string
  /** Its problems, for when a test fails. */
  readonly told: string
  readonly examination: Examination
  readonly findings: readonly Finding[]
  /** All but what is in order and what was not looked at, by id. */
  readonly problems: readonly string[]
  readonly mended: readonly string[]
}

/** `preload`: a module that is loaded before the program. */
export async function visit(
  cwd: string,
  env: Env,
  args: readonly string[] = [],
  preload?: string,
): Promise<Visit> {
  const node = [process.execPath, ...(preload === undefined ? [] : ['--import', preload]), entry] as const
  const { code, out, text } = await run(['doctor', '--json', ...args], { cwd, env, command: [...node] })
  let examination: Examination
  try {
    examination = JSON.parse(out)
  } catch (error) {
    throw new Error(`the doctor ended with ${code} and said:\n${text}`, { cause: error })
  }
  const findings = examination.checks.flatMap((one) => one.findings)
  const problems = findings.filter(({ severity }) => severity !== 'ok' && severity !== 'skipped')
  return {
    code,
    text,
    told: problems.map(({ id, what, how }) => `${id}: ${what} → ${how}`).join('\n'),
    examination,
    findings,
    problems: problems.map(({ id }) => id).sort(),
    mended: examination.checks.flatMap((one) => one.mended),
  }
}
