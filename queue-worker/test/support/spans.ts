/** A real OpenTelemetry SDK whose spans stay in memory. One for each test file: it is registered for the whole process. */
import { SpanStatusCode, trace } from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node'

export function startSdk() {
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  provider.register()
  const tracer = trace.getTracer('tests')
  return {
    /** Does this within a span, and gives the span's ids with the result. */
    within: <T>(name: string, work: () => Promise<T>) =>
      tracer.startActiveSpan(name, async (span) => {
        try {
          const { traceId, spanId } = span.spanContext()
          return { traceId, spanId, result: await work() }
        } finally {
          span.end()
        }
      }),
    /** Those that have ended. */
    named: (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name),
    async stop() {
      await provider.shutdown()
      trace.disable()
    },
  }
}

/** What tests ask of a span. */
export function summary(span: ReadableSpan | undefined) {
  return {
    traceId: span?.spanContext().traceId,
    parent: span?.parentSpanContext?.spanId,
    outcome: span?.attributes['queue_worker.outcome'],
    isError: span?.status.code === SpanStatusCode.ERROR,
  }
}
