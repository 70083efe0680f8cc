/** `doctor`: looks at everything a worker needs, tells what is wrong and how to mend it, and mends what is safe. */
import { resolve } from 'node:path'
import { knownSecrets } from '../config.ts'
import { CHECKS, LOCAL_CHECKS } from '../doctor/checks/index.ts'
import { settings } from '../doctor/checks/settings.ts'
import { countSeverities, type Examination, isHealthy } from '../doctor/examination.ts'
import { writeReport } from '../doctor/report-file.ts'
import { runChecks } from '../doctor/run.ts'
import { showTerminal } from '../doctor/show.ts'
import { createRedactor } from '../utils/redact.ts'
import { packageVersion } from '../version.ts'
import { environmentOf, setUpDoctor } from './doctor-setup.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'

export type DoctorFlags = {
  readonly fix?: boolean
  readonly json?: boolean
  /** A folder, or true for the usual one. */
  readonly report?: string | true
  readonly strict?: boolean
  readonly sendMail?: string
}

export async function doctor(io: Io, flags: DoctorFlags): Promise<ExitCode> {
  const { fix = false, json = false, strict = false, report } = flags
  const examination = await examine(io, fix, flags.sendMail)
  const hasColours = io.isTerminal && !environmentOf(io).NO_COLOR
  io.out(json ? JSON.stringify(examination) : showTerminal(examination, hasColours))
  if (report !== undefined) {
    const folder = resolve(io.cwd, report === true ? 'reports' : report)
    io.err(`wrote ${await writeReport(folder, examination, json)}`)
  }
  if (examination.target === null) return EXIT.setup
  return isHealthy(examination, strict) ? EXIT.ok : EXIT.failed
}

async function examine(io: Io, fix: boolean, sendMailTo: string | undefined): Promise<Examination> {
  let stopped = false
  io.onStop(() => {
    if (!stopped) io.err('Stopping after this check …')
    stopped = true
  })
  const isStopped = () => stopped
  const cleaned = (secrets: readonly string[]) => createRedactor([...knownSecrets(io.cwd), ...secrets]).text
  const place = { cwd: io.cwd, environment: environmentOf(io) }
  // First of all: where things are mended, settings may come to be there.
  const files = await runChecks(LOCAL_CHECKS, place, { fix, isStopped, clean: cleaned([]) })
  const { read, parts, secrets, close } = await setUpDoctor(io, sendMailTo)
  const options = { fix, isStopped, clean: cleaned(secrets) }
  try {
    const checks = [
      ...files,
      ...(await runChecks([settings], read, options)),
      ...(await runChecks(CHECKS, parts ?? 'mend the settings first', options)),
    ]
    return {
      version: packageVersion(),
      at: new Date().toISOString(),
      transport: parts?.connection.kind ?? null,
      target: parts?.transport.target ?? null,
      counts: countSeverities(checks),
      checks,
    }
  } finally {
    await close()
  }
}
