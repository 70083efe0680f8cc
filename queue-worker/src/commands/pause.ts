/** `pause` and `resume`: whether a queue is read, for every worker. */
import { EXIT, type ExitCode, type Io } from './io.ts'
import { withQueue } from './with-queue.ts'

export async function setPaused(io: Io, name: string, options: { paused: boolean }): Promise<ExitCode> {
  const { paused } = options
  await withQueue(io, (queue) => queue.setPaused(name, paused))
  io.out(
    paused
      ? `${name} is paused for all workers; what is in flight finishes, sends go on`
      : `${name} is worked on again`,
  )
  return EXIT.ok
}
