/** Failures told by an HTTP answer: PostgREST's JSON errors, the gateway's, and pages of something else. */
import { bySqlState, keyRemedy } from './sqlstate.ts'
import type { FailureContext, Verdict } from './verdict.ts'

/** An HTTP answer that is not the JSON of a successful call. */
export class HttpAnswer extends Error {
  override readonly name: string = 'HttpAnswer'
  readonly status: number
  readonly contentType: string
  readonly body: string
  constructor(status: number, contentType: string, body: string) {
    super(`HTTP ${status}`)
    this.status = status
    this.contentType = contentType
    this.body = body
  }
}

export function byHttp(answer: HttpAnswer, context: FailureContext): Verdict {
  const { status, body } = answer
  const said = parse(body)
  if (status === 540 || /project (is )?paused/i.test(body))
    return {
      kind: 'paused_project',
      what: 'the Supabase project is paused',
      remedy: 'Restore it in the Supabase dashboard. The worker goes on by itself then.',
      transient: true,
    }
  if (said !== undefined && lostItsDatabase(status, body))
    return {
      kind: 'disconnected',
      what: `PostgREST lost its connection to the database in the call${quote(said)}`,
      remedy: 'The database restarted or ended the connection. It is tried again.',
      transient: true,
    }
  const known = said === undefined ? undefined : bySqlState(said, context)
  // A gateway may refuse the key before PostgREST sees it; anon without grants arrives as 401 with 42501.
  if (known !== undefined && known.kind !== 'unknown') return known
  if (status === 401 || status === 403 || /invalid api key|no api key/i.test(body))
    return fatal('wrong_key', `the key was refused (HTTP ${status}${quote(said)})`, keyRemedy())
  if (status === 429 || status >= 500)
    return {
      kind: 'unavailable',
      what: `the server cannot answer now (HTTP ${status}${quote(said)})`,
      remedy: 'It starts, stops or is overloaded. It is tried again.',
      transient: true,
    }
  if (said === undefined) return wrongUrl(answer, context)
  if (known !== undefined) return known
  if (status === 413)
    return fatal('rejected', 'the request is larger than the server takes', 'Lower WORKER_BATCH_SIZE.')
  if (status === 404) return wrongUrl(answer, context)
  return fatal('unknown', `HTTP ${status}${quote(said)}`, 'The log of the API gateway may say more.')
}

function wrongUrl({ status, contentType }: HttpAnswer, context: FailureContext): Verdict {
  const kind = contentType.split(';')[0] || 'something without a type'
  return fatal(
    'wrong_url',
    `the answer is not from a Supabase API (HTTP ${status}, ${kind})`,
    `SUPABASE_URL probably leads to a website or a dashboard (${context.host}). It must be the address of the project, https://<ref>.supabase.co, or of the API gateway when self-hosted (http://host:8000).`,
  )
}

/** PostgREST tells why it cannot connect in the details of an error of its own (PGRST000), in PostgreSQL's words. */
const NO_CONNECTION_LEFT =
  /FATAL: +((?:sorry, )?too many (?:clients|connections).*|remaining connection slots.*)/

/** The error in a JSON answer; undefined when the body is no JSON object. */
function parse(body: string): Error | undefined {
  try {
    const json: unknown = JSON.parse(body)
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined
    const fields: Record<string, unknown> = { ...json }
    const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '')
    const full = NO_CONNECTION_LEFT.exec(text('details'))?.[1]
    if (full !== undefined) return Object.assign(new Error(full), { code: '53300', hint: text('hint') })
    return Object.assign(new Error(text('message') || text('msg') || text('error')), {
      code: text('code'),
      hint: text('hint'),
    })
  } catch {
    return undefined
  }
}

/** PostgREST passes an error of the database on with its SQLSTATE; there is none when the connection broke. */
function lostItsDatabase(status: number, body: string): boolean {
  const { code, message } = JSON.parse(body)
  return status === 400 && code === '' && typeof message === 'string'
}

function quote(said: Error | undefined): string {
  return said === undefined || said.message === '' ? '' : `: ${said.message.slice(0, 200)}`
}

function fatal(kind: Verdict['kind'], what: string, remedy: string): Verdict {
  return { kind, what, remedy, transient: false }
}
