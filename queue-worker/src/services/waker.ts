/** Asks a worker that may be asleep to wake up: fire and forget, a few times where nobody answers, and not more often than is worth its while. */
import { SetupError } from '../errors.ts'
import { sleep } from '../utils/sleep.ts'
import { createThrottle } from '../utils/throttle.ts'

export type WakeOptions = {
  /** The worker's own: https://worker.example.com/wake */
  readonly url: string
  /** Its WORKER_WAKE_TOKEN, if it has one. */
  readonly token?: string | undefined
  /** Told when it could not be woken; left out, that is a warning of the process. */
  readonly onFailure?: (why: string) => void
}

export type Waker = {
  /** Returns at once and never throws. */
  call(): void
  /** Makes the call that waits, and waits for those under way, though not for ever. */
  close(): Promise<void>
}

/** A worker stays awake for longer than this. */
const EVERY_MS = 5000
/** A platform that has to start it keeps the request waiting meanwhile. */
const ANSWER_MS = 10_000
const AGAIN_AFTER_MS = [1000, 5000]
const CLOSE_MS = 5000

/** @throws SetupError when the address is none. */
export function createWaker({ url, token, onFailure = warn }: WakeOptions): Waker {
  const { href, origin, pathname } = addressOf(url)
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const closing = new AbortController()
  const open = new Set<Promise<void>>()

  const throttle = createThrottle(() => {
    const asking = ask().finally(() => open.delete(asking))
    open.add(asking)
  }, EVERY_MS)

  async function ask(): Promise<void> {
    let why = await tryOnce()
    for (const pauseMs of AGAIN_AFTER_MS) {
      if (why === null || why.isFinal || closing.signal.aborted) break
      await sleep(pauseMs, closing.signal)
      why = await tryOnce()
    }
    if (why !== null) onFailure(`the worker at ${origin}${pathname} could not be woken: ${why.text}`)
  }

  /** Null: it was told. */
  async function tryOnce(): Promise<{ readonly text: string; readonly isFinal: boolean } | null> {
    try {
      const signal = AbortSignal.timeout(ANSWER_MS)
      const response = await fetch(href, { method: 'POST', headers, signal, redirect: 'manual' })
      await response.body?.cancel()
      if (response.ok) return null
      const isFinal = response.status < 500 && response.status !== 429
      return { text: `it answers with HTTP ${response.status}`, isFinal }
    } catch (error) {
      return { text: reasonOf(error), isFinal: false }
    }
  }

  return {
    call: throttle.call,
    async close() {
      throttle.flush()
      closing.abort()
      const enough = new AbortController()
      await Promise.race([Promise.all(open), sleep(CLOSE_MS, enough.signal)])
      enough.abort()
    },
  }
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  throw new SetupError(
    'the address to wake a worker at is none',
    'Give the whole address: https://worker.example.com/wake',
  )
}

/** The reason alone: what fetch throws may hold more. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  if (typeof code === 'string') return code
  return cause instanceof Error && cause.name === 'TimeoutError' ? 'no answer in time' : 'no answer'
}

function warn(why: string): void {
  process.emitWarning(why, 'QueueWorkerWake')
}
