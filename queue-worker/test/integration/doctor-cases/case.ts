/** What a case of the doctor's test is: something broken, and what must be said of it. */
import { folder, removeFolder, writeProcessors } from '../../support/cli.ts'
import { type Kind, processorCode } from '../../support/cli-env.ts'
import type { DoctorBench, Variables } from '../../support/doctor-bench.ts'

export type Case = {
  readonly what: string
  readonly kind: Kind
  /** Breaks it, and gives the variables that lead to what is broken. */
  breaks(bench: DoctorBench): Promise<Variables> | Variables
  readonly finds: string
  /** What cannot but be found as well. */
  readonly also?: readonly string[]
  readonly says: RegExp
  readonly remedy: RegExp
  /** With `--fix`: what it says that it did, and what is still found. */
  readonly fixed?: { readonly did: RegExp; readonly leaves?: readonly string[] }
  readonly preload?: string
  /** The exit code, where it is not that of the severities. */
  readonly code?: number
}

/** Another folder of processors, with one for this queue. */
export async function otherProcessors(bench: DoctorBench, queue: string): Promise<Variables> {
  const path = await folder()
  bench.later(() => removeFolder(path))
  return { PROCESSORS: writeProcessors(path, { 'one.ts': processorCode(queue, '') }) }
}
