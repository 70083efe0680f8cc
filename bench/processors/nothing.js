/** Does nothing with the messages of the queue that peak.ts names. */
import { z } from 'zod'
import { defineProcessor } from '../../dist/library.js'

export default defineProcessor({
  queue: process.env.BENCH_QUEUE ?? 'bench',
  payload: z.object({ n: z.number(), text: z.string() }),
  process() {},
})
