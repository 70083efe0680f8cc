/** `limit`: how many messages of a queue are given out in any period, over all workers. */
import type { RateLimit } from '../utils/rate-limit.ts'
import { caller } from './caller.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { about, withQueue } from './with-queue.ts'

export async function limit(io: Io, queueName: string, rate: RateLimit | null): Promise<ExitCode> {
  await withQueue(io, (queue) => about(queue, queueName, () => queue.setRateLimit(queueName, rate, caller())))
  io.out(
    rate === null
      ? `${queueName} has no rate limit now`
      : `at most ${rate.maxMessages} messages of ${queueName} are given out in any ${rate.periodSeconds} s now, over all workers`,
  )
  return EXIT.ok
}
