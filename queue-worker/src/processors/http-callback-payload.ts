/** What a message of the callbacks queue may say. The reference for people is docs/processors/http-callbacks.md. */
import { z } from 'zod'
import { dropNulls } from '../utils/drop-nulls.ts'

/** A payload after validation, as the request it asks for. */
export type HttpCallback = {
  readonly url: string
  readonly method: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly timeoutMs: number
}

export type HttpCallbackRules = {
  /** In capitals; of what a message may name. */
  readonly methods: readonly string[]
  /** Names of headers that a message may set, in lower case; one that ends in `*` means all that begin so. */
  readonly headers: readonly string[]
}

export const DEFAULT_TIMEOUT_MS = 30_000
export const MAX_TIMEOUT_MS = 300_000
const MAX_HEADERS = 50

/** About the connection, or about who is asking: no setting allows them. */
const NEVER =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|content-length|content-encoding|expect|http2-settings|forwarded|x-forwarded-.*|x-real-ip|via|webhook-.*)$/
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/
const VALUE = /^[\x20-\x7e]*$/

const url = z
  .string({ error: 'url must be a string' })
  .max(8000, 'the url is longer than 8000 characters')
  .superRefine((text, context) => {
    const problem = urlProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })
  .describe('Where to: http:// or https://, without user and password.')

/** Not taken apart: a schema of objects would make another one, without keys such as __proto__. */
const data = z
  .unknown()
  .refine(
    (given) => given === undefined || typeof given === 'string' || typeof given === 'object',
    'data is an object or a list, sent as JSON, or a string, sent as it is',
  )
  .meta({
    description: 'The body: an object or a list is sent as JSON, a string as it is.',
    anyOf: [{ type: 'object' }, { type: 'array' }, { type: 'string' }],
  })

const headers = z
  .record(
    z.string(),
    z
      .string({ error: 'a header must be a string' })
      .max(8000, 'a header is longer than 8000 characters')
      .regex(VALUE, 'a header holds printable ASCII characters only'),
    { error: 'give headers as an object of strings' },
  )
  .meta({
    description: 'Further headers, of those that HTTP_CALLBACKS_HEADERS allows.',
    sensitive: true,
  })

const fields = {
  url,
  data: data.optional(),
  method: z
    .string({ error: 'method must be a string' })
    .describe('One of HTTP_CALLBACKS_METHODS; POST if left out.')
    .optional(),
  headers: headers.optional(),
  timeoutMs: z
    .int({ error: 'timeoutMs must be a whole number of milliseconds' })
    .min(100, 'timeoutMs is less than 100')
    .max(MAX_TIMEOUT_MS, `timeoutMs is more than ${MAX_TIMEOUT_MS}`)
    .describe(`How long the receiver may take to answer, in milliseconds; ${DEFAULT_TIMEOUT_MS} if left out.`)
    .optional(),
}
const known = Object.keys(fields).join(', ')
const raw = z.strictObject(fields, {
  error: (issue) =>
    issue.code === 'unrecognized_keys'
      ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; known are: ${known}`
      : 'a callback is a JSON object such as {"url": "https://example.com/hook", "data": {}}',
})

/**
 * The schema of the callbacks queue. A key that is null counts as absent, because SQL's jsonb_build_object writes nulls.
 */
export function httpCallbackPayload(rules: HttpCallbackRules): z.ZodType<HttpCallback> {
  return z.preprocess(
    dropNulls,
    raw.transform((given, context): HttpCallback => {
      const { data, timeoutMs = DEFAULT_TIMEOUT_MS } = given
      const method = (given.method ?? 'POST').toUpperCase()
      if (!rules.methods.includes(method)) {
        const message = `is not one of HTTP_CALLBACKS_METHODS (${rules.methods.join(', ')})`
        context.addIssue({ code: 'custom', path: ['method'], message })
      }
      if (method === 'GET' && data !== undefined) {
        const message = 'a GET has no data; put it into the url'
        context.addIssue({ code: 'custom', path: ['data'], message })
      }
      for (const [name, message] of headerProblems(Object.keys(given.headers ?? {}), rules.headers))
        context.addIssue({ code: 'custom', path: ['headers', name], message })
      const own = Object.entries(given.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
      const headers = { ...typeOf(data), ...Object.fromEntries(own) }
      const body = data === undefined || typeof data === 'string' ? data : JSON.stringify(data)
      return { url: given.url, method, headers, body, timeoutMs }
    }),
  )
}

function urlProblem(text: string): string | undefined {
  const parsed = URL.parse(text)
  if (parsed === null) return 'the url is none; give it whole, as https://example.com/hook'
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    return `the url begins with ${parsed.protocol}; only http:// and https:// are called`
  return parsed.username !== '' || parsed.password !== ''
    ? 'the url has a user or password in it; give an Authorization header instead'
    : undefined
}

function headerProblems(names: readonly string[], allowed: readonly string[]): [string, string][] {
  const problems: [string, string][] = []
  const seen = new Set<string>()
  if (names.length > MAX_HEADERS) problems.push(['', `more than ${MAX_HEADERS} headers`])
  for (const name of names) {
    const lower = name.toLowerCase()
    const isAllowed = allowed.some((one) =>
      one.endsWith('*') ? lower.startsWith(one.slice(0, -1)) : one === lower,
    )
    if (!NAME.test(name)) problems.push([name, 'is not a header name'])
    else if (NEVER.test(lower)) problems.push([name, 'cannot be set: it is the worker’s own'])
    else if (!isAllowed) problems.push([name, `is not one of HTTP_CALLBACKS_HEADERS (${allowed.join(', ')})`])
    else if (seen.has(lower)) problems.push([name, 'is given twice'])
    seen.add(lower)
  }
  return problems
}

function typeOf(data: unknown): Record<string, string> {
  if (data === undefined) return {}
  return { 'content-type': typeof data === 'string' ? 'text/plain; charset=utf-8' : 'application/json' }
}
