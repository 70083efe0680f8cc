/** All that is wrong with the settings, as one error. */
import { SetupError } from '../errors.ts'
import type { Problem } from './gather.ts'

export function setupError(problems: readonly Problem[]): SetupError {
  const lines = problems.map(({ name, wrong }) => `  ${name} ${wrong}`)
  const count = problems.length === 1 ? 'One setting is' : `${problems.length} settings are`
  return new SetupError(
    `${count} missing or malformed:\n${lines.join('\n')}`,
    'Set them in the environment or in .env of the working folder; .env.example explains each.',
  )
}
