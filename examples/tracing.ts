/** A trace through a queue: sends a message within a span, processes it, prints the spans, ends. See docs/tracing.md. */
import { trace } from '@opentelemetry/api'
import { ConsoleSpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { connectSupabase, createProducer, createWorker, defineProcessor } from 'queue-worker'
import { z } from 'zod'

const provider = new NodeTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())],
})
provider.register()

const { SUPABASE_URL: url = '', SUPABASE_SECRET_KEY: key = '' } = process.env
const handled = Promise.withResolvers<void>()
const traced = defineProcessor({
  queue: 'traced',
  payload: z.object({ name: z.string() }),
  process({ name }, { traceContext }) {
    console.log(`Hello, ${name}! ${traceContext?.traceparent}`)
    handled.resolve()
  },
})

const worker = createWorker({
  connection: connectSupabase({ url, key }),
  processors: [traced],
  logger: 'warn',
})
await worker.start() // makes the queue
const producer = createProducer(connectSupabase({ url, key }), { traced: traced.payload })
await trace.getTracer('example').startActiveSpan('a request', async (span) => {
  await producer.send('traced', { name: 'Ada' })
  span.end()
})
await handled.promise
await Promise.all([worker.stop('the example is over'), producer.close()])
await provider.shutdown()
