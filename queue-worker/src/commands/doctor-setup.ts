/** From the environment to what the doctor looks at; what is wrong on the way is kept, not thrown. */
import { type Config, type Environment, readEnvironment } from '../config.ts'
import type { SettingsRead } from '../doctor/checks/settings.ts'
import { openParts, type Parts } from '../doctor/parts.ts'
import { coerceError, SetupError } from '../errors.ts'
import { configuredProcessors } from '../processors/configured.ts'
import { createLogger } from '../utils/logger.ts'
import type { Io } from './io.ts'
import { setUp } from './setup.ts'

export type DoctorSetup = {
  readonly read: SettingsRead
  /** Null: the settings lead nowhere. */
  readonly parts: Parts | null
  readonly secrets: readonly string[]
  close(): Promise<void>
}

export async function setUpDoctor(io: Io, sendMailTo: string | undefined): Promise<DoctorSetup> {
  const problems: SetupError[] = []
  // Its warnings become findings.
  const setup = await keeping(problems, () => setUp({ ...io, err: () => {} }, { embedded: 'join' }))
  if (setup === null) {
    return {
      read: { config: null, target: '', queues: [], problems },
      parts: null,
      secrets: [],
      close: async () => {},
    }
  }
  const { config, environment, stack } = setup
  const queues = (await keeping(problems, () => queuesOf(config))) ?? []
  const place = { cwd: io.cwd, environment }
  const parts = await keeping(problems, async () => openParts(place, { config, queues, sendMailTo }))
  return {
    read: { config, target: parts?.transport.target ?? '', queues, problems },
    parts,
    secrets: config.secrets,
    async close() {
      await parts?.close()
      await stack?.stop()
    },
  }
}

/** Those a worker would read. */
async function queuesOf(config: Config): Promise<string[]> {
  const logger = createLogger({ level: 'silent', pretty: false, secrets: [] })
  const processors = await configuredProcessors(config, logger)
  for (const processor of processors) await processor.close?.()
  return processors.map(({ queue }) => queue)
}

async function keeping<T>(problems: SetupError[], work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (thrown) {
    const error = coerceError(thrown)
    const remedy = 'Mend what it names; if it is in a file of PROCESSORS, there.'
    problems.push(
      error instanceof SetupError ? error : new SetupError(error.message, remedy, { cause: error }),
    )
    return null
  }
}

/** Empty where `.env` cannot be read, which is told with the settings. */
export function environmentOf(io: Pick<Io, 'cwd'>): Environment {
  try {
    return readEnvironment(io.cwd)
  } catch {
    return {}
  }
}
