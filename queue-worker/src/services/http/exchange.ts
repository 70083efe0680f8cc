/** One HTTP request and its answer, on a connection of its own that is closed afterwards. Follows nothing. */
import * as http from 'node:http'
import * as https from 'node:https'
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'

export type ExchangeRequest = {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly lookup: LookupFunction
  /** With the authorities to trust for https; undefined: the system's. */
  readonly secureContext: SecureContext | undefined
  readonly signal: AbortSignal
}

export type Answer = {
  readonly status: number
  readonly headers: Readonly<http.IncomingHttpHeaders>
  /** The beginning of its body, as far as it came. */
  readonly text: string
}

/** Of an answer's body no more is read, and for no longer: its status says it all. */
const MAX_BODY_BYTES = 65_536
const BODY_GRACE_MS = 5000

/** Rejects with the error of the lookup, connection, TLS or abort. An answer whose status came is an answer. */
export function exchange(url: URL, given: ExchangeRequest): Promise<Answer> {
  const { method, body, lookup, secureContext, signal } = given
  // Node leaves the length out for some methods; the receiver would not see the body.
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const options: https.RequestOptions = {
    method,
    headers: { ...given.headers, ...length },
    lookup,
    signal,
    // A connection kept from before would go round the check of the address, and may be closed when it is used.
    agent: false,
  }
  // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the check off otherwise.
  const secure = { ...options, ...(secureContext ? { secureContext } : {}), rejectUnauthorized: true }
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? https.request(url, secure) : http.request(url, options)
    // Who answers 101, to switch protocols, causes neither error nor response.
    const onClose = () => reject(new Error('the connection was closed without an answer'))
    request.once('error', reject).once('close', onClose)
    request.once('response', (response) => {
      // From here on there is an answer, also when it breaks off or the time is up.
      request
        .off('close', onClose)
        .off('error', reject)
        .on('error', () => {})
      const { statusCode: status = 0, headers } = response
      void readBeginning(response).then((text) => {
        request.destroy()
        resolve({ status, headers, text })
      })
    })
    request.end(body)
  })
}

/** Never rejects: a body that breaks off is what came of it. */
async function readBeginning(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => response.destroy(), BODY_GRACE_MS)
  try {
    for await (const chunk of response) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= MAX_BODY_BYTES) break
    }
  } catch {
    // told above
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8')
}
