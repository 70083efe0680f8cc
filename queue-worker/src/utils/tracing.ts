/**
 * OpenTelemetry, and the one place that knows its API: an optional package, with which nothing happens until the program that runs
 * us registers an SDK. See docs/tracing.md.
 */
import { createRequire } from 'node:module'
import type * as OpenTelemetry from '@opentelemetry/api'
import { type TraceContext, traceContextOf } from './trace-context.ts'

type Api = typeof OpenTelemetry

export type Tracing = {
  /** The context of the span that is active here; null where none is. */
  active(): TraceContext | null
  /** Begins the span of a delivery that is about to run, as a child of what its headers name. Null without an SDK. */
  begin(delivery: Delivery): DeliverySpan | null
}

export type Delivery = {
  readonly queue: string
  readonly msgId: string
  readonly delivery: number
  readonly failures: number
  readonly headers: Readonly<Record<string, unknown>> | null
}

export type DeliverySpan = {
  /** Runs this and all that it starts within the span. */
  run<T>(work: () => T): T
  /** `lost`: the hold on the message ran out, and nothing is recorded. */
  end(outcome: string, error: Error | undefined): void
}

const NAME = 'queue-worker'
/** A snooze or a release may have an error too: the reason, not a failure. */
const FAILED = new Set(['retry', 'dead', 'lost'])

/**
 * Null where the API is not installed. Whether an SDK is registered is asked at each delivery: it may be later than this.
 * `redact` removes secrets from errors, which leave the house with the span.
 */
export function createTracing(
  redact: (text: string) => string = (text) => text,
  load: (name: string) => unknown = createRequire(import.meta.url),
): Tracing | null {
  const api = loadApi(load)
  return (
    api && {
      active: () => activeContext(api),
      begin(delivery) {
        const tracer = tracerOf(api)
        return tracer && beginSpan(api, tracer, delivery, redact)
      },
    }
  )
}

function loadApi(load: (name: string) => unknown): Api | null {
  try {
    return load('@opentelemetry/api') as Api
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return null
    throw error
  }
}

/** Without an SDK the API gives spans that do nothing, at a price. */
function tracerOf({ trace, ProxyTracerProvider }: Api): OpenTelemetry.Tracer | null {
  const provider = trace.getTracerProvider()
  if (!(provider instanceof ProxyTracerProvider)) return provider.getTracer(NAME)
  return provider.getDelegateTracer(NAME) ?? null
}

/** Names and attributes are those of the semantic conventions for messaging, where these have one. */
function beginSpan(
  api: Api,
  tracer: OpenTelemetry.Tracer,
  { queue, msgId, delivery, failures, headers }: Delivery,
  redact: (text: string) => string,
): DeliverySpan {
  const parent = remoteContext(api, traceContextOf(headers))
  const attributes = {
    'messaging.system': 'pgmq',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': queue,
    'messaging.message.id': msgId,
    'queue_worker.delivery': delivery,
    'queue_worker.attempt': failures + 1,
  }
  const span = tracer.startSpan(`process ${queue}`, { kind: api.SpanKind.CONSUMER, attributes }, parent)
  const within = api.trace.setSpan(parent, span)
  return {
    run: (work) => api.context.with(within, work),
    end(outcome, error) {
      span.setAttribute('queue_worker.outcome', outcome)
      if (error !== undefined && FAILED.has(outcome)) {
        const [message, stack] = [redact(error.message), redact(String(error.stack ?? ''))]
        span.setAttribute('error.type', error.name)
        span.recordException({ name: error.name, message, stack })
        span.setStatus({ code: api.SpanStatusCode.ERROR, message })
      }
      span.end()
    },
  }
}

function activeContext({ trace, context, isSpanContextValid }: Api): TraceContext | null {
  const found = trace.getSpanContext(context.active())
  if (found === undefined || !isSpanContextValid(found)) return null
  const flags = found.traceFlags.toString(16).padStart(2, '0')
  return traceContextOf({
    traceparent: `00-${found.traceId}-${found.spanId}-${flags}`,
    tracestate: found.traceState?.serialize(),
  })
}

/** The worker's own loop may run within a span of whoever started it; deliveries are none of its business. */
function remoteContext(api: Api, sender: TraceContext | null): OpenTelemetry.Context {
  if (sender === null) return api.ROOT_CONTEXT
  const [, traceId = '', spanId = '', flags = ''] = sender.traceparent.split('-')
  return api.trace.setSpanContext(api.ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(sender.tracestate === undefined ? {} : { traceState: api.createTraceState(sender.tracestate) }),
  })
}
