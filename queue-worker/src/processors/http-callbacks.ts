/** The processor of the callbacks queue. What it promises stands in docs/processors/http-callbacks.md. */
import type { CallbackClient } from '../services/http.ts'
import { carryTrace } from '../utils/trace-context.ts'
import { defineProcessor, type Processor } from './define.ts'
import { judge } from './http-callback-outcome.ts'
import {
  type HttpCallback,
  type HttpCallbackRules,
  httpCallbackPayload,
  MAX_TIMEOUT_MS,
} from './http-callback-payload.ts'

export type HttpCallbacksOptions = HttpCallbackRules & {
  readonly client: CallbackClient
  /** Default `http_callbacks`. */
  readonly queue?: string
}

export function httpCallbacksProcessor(options: HttpCallbacksOptions): Processor<HttpCallback> {
  const { client } = options
  return defineProcessor({
    queue: options.queue ?? 'http_callbacks',
    payload: httpCallbackPayload(options),
    // They mostly wait for somebody else's machine.
    concurrency: 50,
    // A receiver that is down for the night gets its callbacks in the morning: these waits come to 15 hours on average.
    maxAttempts: 16,
    backoff: { baseSeconds: 10, maxSeconds: 6 * 60 * 60 },
    // The request's own limit comes first, and says what was slow.
    timeoutMs: MAX_TIMEOUT_MS + 10_000,
    async process(callback, { attempt, originKey, traceContext, once, signal }) {
      const request = { ...carryTrace(callback, traceContext), originKey }
      const send = async () => {
        const answer = await client.send(request, signal)
        judge(answer, attempt, Date.now())
        return { status: answer.status }
      }
      // The receiver knows the id: what may have been sent is sent again, rather than held for a person.
      await once('callback', send, { uncertain: 'repeat' })
    },
  })
}
