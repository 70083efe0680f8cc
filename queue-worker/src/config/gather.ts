/** Environment -> the values of the settings, or what is wrong with each. */
import { ALIASES, DEFAULTS, SETTING_NAMES, SETTINGS, type SettingName, type Values } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>
export type Problem = { readonly name: string; readonly wrong: string }

export type Gathered = {
  /** The settings that could be read; one with a problem is left at its default. */
  readonly values: Values
  readonly problems: readonly Problem[]
  /** The variable each given setting was taken from: itself or an alias. */
  readonly givenAs: ReadonlyMap<SettingName, string>
}

/** An empty variable counts as not set: Compose and CI hand over empty ones for what nobody filled in. */
export function given(env: Environment, name: string): string | undefined {
  const value = env[name]
  return value === undefined || value.trim() === '' ? undefined : value
}

export function gather(env: Environment): Gathered {
  const givenAs = new Map<SettingName, string>()
  const texts: Partial<Record<SettingName, string>> = { ...DEFAULTS }
  for (const name of SETTING_NAMES) {
    const source = [name, ...(ALIASES[name] ?? [])].find((candidate) => given(env, candidate) !== undefined)
    const value = source === undefined ? undefined : given(env, source)
    if (source === undefined || value === undefined) continue
    givenAs.set(name, source)
    texts[name] = value
  }
  const first = SETTINGS.safeParse(texts)
  if (first.success) return { values: first.data, problems: [], givenAs }

  const problems: Problem[] = []
  for (const issue of first.error.issues) {
    const name = SETTING_NAMES.find((candidate) => candidate === issue.path[0])
    if (name === undefined) continue
    problems.push({ name: givenAs.get(name) ?? name, wrong: issue.message })
    // So that the rules between settings are checked as well, and everything is reported at once.
    const fallback = DEFAULTS[name]
    if (fallback === undefined) delete texts[name]
    else texts[name] = fallback
  }
  return { values: SETTINGS.parse(texts), problems, givenAs }
}
