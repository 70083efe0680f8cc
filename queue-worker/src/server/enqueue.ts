/** `POST /api/queues/{queue}/messages`: checks a message as its processor would, then sends it. Closed without a token. */
import type { ServerResponse } from 'node:http'
import { ConnectionFailure, coerceError } from '../errors.ts'
import { createPayloadCheck } from '../processors/check.ts'
import type { Processor } from '../processors/define.ts'
import { type Issue, tellIssues } from '../processors/issues.ts'
import type { Send, SendResult } from '../queue/contract.ts'
import { isRefusal } from '../queue/send-batches.ts'
import type { Logger } from '../utils/logger.ts'
import { sleep } from '../utils/sleep.ts'
import { answer } from './answer.ts'
import type { Bearer } from './bearer.ts'
import { readJson } from './body.ts'
import { readEnqueueRequest } from './enqueue-request.ts'
import type { Route } from './route.ts'

export type EnqueueParts = {
  readonly processors: readonly Pick<Processor, 'queue' | 'payload'>[]
  /** All of them or none. Rejects with ConnectionFailure. */
  readonly send: (sends: readonly Send[]) => Promise<readonly SendResult[]>
  /** Null: no token was set, so nobody may. */
  readonly bearer: Bearer | null
  readonly logger: Pick<Logger, 'warn'>
  /** What a database that hangs may make a request wait. */
  readonly patienceMs?: number
}

/** A mail with the largest attachments fits. */
const MAX_BYTES = 16 * 1024 * 1024
const PATIENCE_MS = 15_000
const RETRY_AFTER = { 'retry-after': '5' }

export function createEnqueueRoute(parts: EnqueueParts): Route {
  const { processors, send, bearer, logger, patienceMs = PATIENCE_MS } = parts
  const checks = new Map(processors.map(({ queue, payload }) => [queue, createPayloadCheck(payload)]))

  return {
    path: '/api/queues/{queue}/messages',
    pattern: /^\/api\/queues\/([^/]*)\/messages$/,
    methods: ['POST'],
    async handle(request, response, [queue = '']) {
      if (bearer === null) {
        const error = 'sending over HTTP is off: set ADMIN_TOKEN of the worker'
        return answer(response, 403, { error }, { connection: 'close' })
      }
      if (!bearer.admits(request, response)) return
      const check = checks.get(queue)
      if (check === undefined) {
        const error = 'this worker serves no such queue'
        return answer(response, 404, { error, queues: [...checks.keys()] }, { connection: 'close' })
      }
      const body = await readJson(request, MAX_BYTES)
      if ('error' in body)
        return answer(response, body.status, { error: body.error }, { connection: 'close' })
      const [key] = [request.headers['idempotency-key']].flat()
      const asked = readEnqueueRequest(queue, body.value, key)
      if ('issues' in asked) return refuse(response, asked.issues)
      const unfit = await issuesOf(asked.sends, check)
      if (unfit.length > 0) return refuse(response, unfit)
      await sendAndTell(queue, asked.sends, response)
    },
  }

  async function sendAndTell(queue: string, sends: readonly Send[], response: ServerResponse) {
    const enough = new AbortController()
    try {
      const results = await Promise.race([send(sends), sleep(patienceMs, enough.signal).then(() => null)])
      if (results === null) return unavailable(response, 'the database does not answer')
      const duplicates = results.filter(({ duplicate }) => duplicate).map(({ msgId }) => msgId)
      const told = { queue, msg_ids: results.map(({ msgId }) => msgId), duplicates }
      answer(response, duplicates.length === results.length ? 200 : 201, told)
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      if (isRefusal(error)) return refuse(response, [{ field: 'message', reason: error.message }])
      unavailable(response, `the database cannot be used now (${error.kind})`)
      logger.warn(
        { queue, kind: error.kind },
        `a message for ${queue} was not taken over HTTP: ${error.message}`,
      )
    } finally {
      enough.abort()
    }
  }
}

type Check = ReturnType<typeof createPayloadCheck>

async function issuesOf(sends: readonly Send[], check: Check): Promise<Issue[]> {
  const found: Issue[] = []
  for (const [index, { message }] of sends.entries()) {
    const place = sends.length > 1 ? `messages.${index}.message` : 'message'
    found.push(...(await issuesOfMessage(message, check, place)))
  }
  return found
}

async function issuesOfMessage(message: unknown, check: Check, place: string): Promise<Issue[]> {
  try {
    const { success, error } = await check(message)
    if (success) return []
    const { shown, more } = tellIssues(error.issues, '')
    const told = shown.map(({ field, reason }) => ({
      field: field === '' ? place : `${place}.${field}`,
      reason,
    }))
    return more > 0 ? [...told, { field: place, reason: `and ${more} more` }] : told
  } catch (error) {
    // A schema may throw, on what is nested too deeply, say.
    return [
      { field: place, reason: `the schema of its queue cannot check it: ${coerceError(error).message}` },
    ]
  }
}

function refuse(response: ServerResponse, fields: readonly Issue[]): void {
  const first = fields[0]
  const error = `nothing was sent: ${first === undefined ? 'it does not fit' : `${first.field}: ${first.reason}`}`
  answer(response, 422, { error, fields })
}

function unavailable(response: ServerResponse, why: string): void {
  const error = `${why}; send it again later, with the same idempotency key so that it is not sent twice`
  answer(response, 503, { error }, RETRY_AFTER)
}
