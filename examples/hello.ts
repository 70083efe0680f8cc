import { connectSupabase, createWorker, defineProcessor } from 'queue-worker'
import { z } from 'zod'

const { SUPABASE_URL: url = 'http://127.0.0.1:54321', SUPABASE_SECRET_KEY: key = '' } = process.env

const hello = defineProcessor({
  queue: 'hello',
  payload: z.object({ name: z.string() }),
  process({ name }, { logger, attempt }) {
    logger.info(`Hello, ${name}! (attempt ${attempt})`)
  },
})

const worker = createWorker({ connection: connectSupabase({ url, key }), processors: [hello] })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => worker.stop(signal))
await worker.start()
await worker.done
