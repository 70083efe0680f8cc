/** The trace context (W3C) as it travels in headers: of messages, HTTP requests, AMQP messages. */

export type TraceContext = { readonly traceparent: string; readonly tracestate?: string }

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const TRACESTATE = /^[\x20-\x7e]{1,512}$/

type Headers = Readonly<Record<string, unknown>>

/** Null where there is none. Headers are written by anybody: what is malformed goes no further. */
export function traceContextOf(headers: Headers | null): TraceContext | null {
  const traceparent = headers?.traceparent
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return null
  const tracestate = headers?.tracestate
  return typeof tracestate === 'string' && TRACESTATE.test(tracestate)
    ? { traceparent, tracestate }
    : { traceparent }
}

/** What is sent, with this trace context in its headers; a context that its headers have already stays. */
export function carryTrace<Sent extends { readonly headers?: Headers }>(
  sent: Sent,
  trace: TraceContext | null,
): Sent {
  const { headers = {} } = sent
  if (trace === null || !isPlain(headers) || 'traceparent' in headers) return sent
  const { tracestate: _, ...others } = headers
  return { ...sent, headers: { ...trace, ...others } }
}

/** Of what is not, others complain. */
function isPlain(headers: unknown): boolean {
  return typeof headers === 'object' && headers !== null && !Array.isArray(headers)
}
