/** `stack`: the embedded stack alone, until told to stop. */
import { describeStack } from '../embedded/describe.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { openStack } from './setup.ts'

export async function runStackCommand(io: Io): Promise<ExitCode> {
  const stopped = Promise.withResolvers<void>()
  io.onStop(stopped.resolve)
  const stack = await openStack(io)
  io.out(describeStack(stack))
  if (stack.attached) return EXIT.ok
  io.out('Press Ctrl-C to stop it.')
  await stopped.promise
  await stack.stop()
  return EXIT.ok
}
