/** Keeps one connection to the broker for all messages: made when one needs it, made anew when it broke, let go when idle. */
import { coerceError } from '../errors.ts'
import type { Session } from './amqp-session.ts'

export type SessionKeeper = {
  /** The open connection; messages that ask while it is being made wait for the same one. */
  session(): Promise<Session>
  /** From here on the connection is in use, until the function it gives is called. */
  use(): () => void
  close(): Promise<void>
}

/** For so long the error of a failed connection stands: messages that come meanwhile do not each try again. */
const FAILURE_STANDS_MS = 1000

/** `idleTimeoutMs` after its last use the connection is closed, unless the broker takes no messages at the moment. */
export function keepSession(open: () => Promise<Session>, idleTimeoutMs: number): SessionKeeper {
  let current: Session | undefined
  let opening: Promise<Session> | undefined
  let failed: { readonly error: Error; readonly untilMs: number } | undefined
  let ending: Promise<void> | undefined
  let uses = 0
  let idle: NodeJS.Timeout | undefined
  let isClosed = false

  async function openNow(): Promise<Session> {
    try {
      current = await open()
      return current
    } catch (thrown) {
      failed = { error: coerceError(thrown), untilMs: performance.now() + FAILURE_STANDS_MS }
      throw thrown
    } finally {
      opening = undefined
    }
  }

  function waitForUse(): void {
    idle = setTimeout(onIdle, idleTimeoutMs).unref()
  }

  function onIdle(): void {
    // A broker tells a new connection that it is short of something only when it was given a message, and keeps that.
    if (current?.blocked() !== undefined) waitForUse()
    else letGo()
  }

  function letGo(): void {
    ending = current?.end()
    current = undefined
  }

  return {
    async session() {
      if (isClosed) throw new Error('The AMQP publisher is closed.')
      if (current !== undefined && current.ended() === undefined) return current
      if (failed !== undefined && performance.now() < failed.untilMs) throw failed.error
      opening ??= openNow()
      return opening
    },
    use() {
      uses += 1
      clearTimeout(idle)
      return () => {
        uses -= 1
        if (uses === 0 && !isClosed) waitForUse()
      }
    },
    async close() {
      isClosed = true
      clearTimeout(idle)
      await opening?.catch(() => {})
      await ending
      letGo()
      await ending
    },
  }
}
