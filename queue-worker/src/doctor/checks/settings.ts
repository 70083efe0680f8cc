/** Whether a worker could start with these settings, and what looks odd in them. */
import type { Config } from '../../config.ts'
import type { SetupError } from '../../errors.ts'
import { defineCheck, type MendableFinding } from '../finding.ts'

export type SettingsRead = {
  /** Null where they could not be read. */
  readonly config: Config | null
  readonly target: string
  readonly queues: readonly string[]
  /** Why a worker would not start. */
  readonly problems: readonly SetupError[]
}

export const settings = defineCheck({
  name: 'settings',
  group: 'Settings',
  catalog: {
    settings_ok: { severity: 'ok', why: '' },
    settings_wrong: { severity: 'error', why: 'A worker does not start with them.' },
    settings_odd: { severity: 'warning', why: 'A worker starts, but this may not be what was meant.' },
  },
  async run({ config, target, queues, problems }: SettingsRead, tell) {
    const found: MendableFinding[] = [
      ...problems.map(({ message, remedy }) => tell('settings_wrong', message, remedy)),
      ...(config?.warnings ?? []).map((warning) => tell('settings_odd', warning, 'See .env.example.')),
    ]
    if (problems.length > 0) return found
    const what = `a worker would connect to ${target} over ${config?.transport} and work on ${queues.join(', ')}`
    return [tell('settings_ok', what), ...found]
  },
})
