/** Files in a bucket of Supabase Storage, through supabase-js. */
import { openAsBlob } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import { coerceError } from '../errors.ts'
import { createFileFolder } from './file-folder.ts'
import { preferIpv4, trustAuthorities } from './network.ts'
import { openFetch } from './own-fetch.ts'
import { type FileStorage, StorageError } from './storage.ts'

export type BucketOptions = {
  /** The project's address, without /storage/v1. */
  readonly url: string
  /** The secret key. */
  readonly key: string
  readonly bucket: string
  readonly caFile?: string | undefined
  readonly preferIpv4?: boolean | undefined
  /** For one request, an upload of a large file among them. */
  readonly requestTimeoutMs?: number | undefined
}

/** Answers of whatever stands before a storage that does not run, and of one that has too much to do. */
const DOWN = new Set([429, 502, 503, 504])

/** An upload may take a while; a connection that hangs must not take for ever. */
const REQUEST_MS = 600_000
const MAX_WAIT_SECONDS = 3600

/** Makes no request yet. Files are made in the system's folder for temporary files, which needs room for them. */
export function createFileBucket(options: BucketOptions): FileStorage {
  if (options.preferIpv4) preferIpv4()
  if (options.caFile !== undefined) trustAuthorities(options.caFile)
  const { url, key, bucket } = options
  const local = createFileFolder(join(tmpdir(), `queue-worker-files-${userInfo().uid}`), { mode: 0o700 })
  const closing = new AbortController()
  const own = openFetch()
  const client = createClient(url, key, {
    accessToken: () => Promise.resolve(key),
    global: { fetch: refusingFetch(own.fetch, options.requestTimeoutMs ?? REQUEST_MS, closing.signal) },
  })
  const files = () => client.storage.from(bucket)
  const told = (what: string, error: unknown) =>
    explain(`${what} bucket ${bucket} of ${new URL(url).host}`, bucket, error)

  return {
    kind: 'bucket',
    begin: (name) => local.begin(name),
    async publish(path, name, contentType) {
      // Read from the disk as it is sent.
      const content = await openAsBlob(path, { type: contentType })
      const { error } = await files().upload(name, content, { upsert: true, contentType })
      if (error !== null) throw told(`the file ${name} cannot be put into`, error)
      await local.discard(path)
      return `${bucket}/${name}`
    },
    discard: (path) => local.discard(path),
    async size(name) {
      const { data, error } = await files().info(name)
      if (error === null) return data.size ?? null
      if (isMissingFile(error)) return null
      throw told(`the file ${name} cannot be looked at in`, error)
    },
    async read(name) {
      const { data, error } = await files().download(name)
      if (error !== null) throw told(`the file ${name} cannot be read from`, error)
      return Buffer.from(await data.arrayBuffer())
    },
    async link(name, seconds, { opens = false } = {}) {
      const { data, error } = await files().createSignedUrl(name, seconds, { download: !opens })
      if (error !== null) throw told(`a link to ${name} cannot be made in`, error)
      return data.signedUrl
    },
    async close() {
      closing.abort(new Error('the storage was closed'))
      await own.close()
    },
  }
}

/** An HTTP answer that is no success, with what storage-js does not keep of it. */
class Refusal extends Error {
  override readonly name: string = 'Refusal'
  readonly status: number
  readonly retryAfter: string | null
  constructor(status: number, said: string, retryAfter: string | null) {
    super(said)
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** fetch that throws a Refusal: Storage answers many of its errors with 400 and says in the body what they are. */
function refusingFetch(ask: typeof fetch, limitMs: number, closing: AbortSignal): typeof fetch {
  return async (input, init) => {
    const signal = AbortSignal.any([AbortSignal.timeout(limitMs), closing])
    const response = await ask(input, { ...init, signal, redirect: 'manual' })
    if (response.ok) return response
    const body = (await response.text()).slice(0, 2000)
    const { statusCode, message } = fieldsOf(body)
    throw new Refusal(
      Number(statusCode) || response.status,
      `${message ?? ''}`,
      response.headers.get('retry-after'),
    )
  }
}

function fieldsOf(body: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(body) }
  } catch {
    return {}
  }
}

/** storage-js wraps what fetch throws. */
function refusalIn(error: unknown): Refusal | null {
  for (const candidate of [error, Reflect.get(Object(error), 'originalError')]) {
    if (candidate instanceof Refusal) return candidate
  }
  return null
}

function isMissingFile(error: unknown): boolean {
  const refusal = refusalIn(error)
  return refusal?.status === 404 && !/bucket/i.test(refusal.message)
}

function explain(what: string, bucket: string, error: unknown): StorageError {
  const refusal = refusalIn(error)
  if (refusal === null) {
    const { name, message, cause } = coerceError(Reflect.get(Object(error), 'originalError') ?? error)
    const why = cause instanceof Error && cause.message !== '' ? `${message} (${cause.message})` : message
    // One file that takes too long says nothing of the others.
    return new StorageError(`${what}: ${why}`, { cause: error, isOutage: name !== 'TimeoutError' })
  }
  const { status, message } = refusal
  const said = `${what}: HTTP ${status}${message === '' ? '' : `, ${message}`}`
  const final = (remedy: string) => new StorageError(`${said}. ${remedy}`, { cause: error, final: true })
  const outage = (remedy: string) => new StorageError(`${said}. ${remedy}`, { cause: error, isOutage: true })
  if (status === 413)
    return final(
      'The file is larger than the bucket or the project allows: raise that limit, or ask for less.',
    )
  if (status === 415) return final('The bucket does not take files of this type: allow it in its settings.')
  if (status === 404 && /bucket/i.test(message))
    return outage(`Make a private bucket "${bucket}" in Storage, or set REPORTS_BUCKET to one there is.`)
  if (status === 401 || status === 403)
    return outage('Check SUPABASE_SECRET_KEY: it must be the secret key of this project.')
  const retryAfterSeconds = secondsOf(refusal.retryAfter)
  return new StorageError(said, { cause: error, isOutage: DOWN.has(status), retryAfterSeconds })
}

/** Of a Retry-After header, in seconds or as a date; at most an hour. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.min(MAX_WAIT_SECONDS, Math.max(0, seconds)) : undefined
}
