/** One connection to the broker: its channels, of which each has one message at a time, and whether it takes any. */
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { unlessAborted } from '../utils/unless-aborted.ts'

export type Session = {
  /** Why the connection is no more; undefined while it is open. */
  ended(): Error | undefined
  /** Why the broker takes no messages at the moment (its memory or disk is short); undefined while it does. */
  blocked(): string | undefined
  /** Resolves when the broker takes messages, or the connection has ended. */
  takesMessages(): Promise<void>
  /** A channel that nobody else uses. Rejects when the connection ends. */
  take(): Promise<ConfirmChannel>
  giveBack(channel: ConfirmChannel): void
  /** For a channel whose message is still unanswered. */
  discard(channel: ConfirmChannel): void
  /** Says goodbye, and hangs up when that takes too long. Never rejects. */
  end(): Promise<void>
}

const GOODBYE_MS = 2000

/** `hangUp` closes the socket at once. */
export function createSession(model: ChannelModel, hangUp: () => void): Session {
  const usable = new Set<ConfirmChannel>()
  const idle: ConfirmChannel[] = []
  let endedWith: Error | undefined
  let block: { readonly reason: string; readonly over: PromiseWithResolvers<void> } | undefined

  const unblock = () => {
    block?.over.resolve()
    block = undefined
  }
  // Told again with `close`; without a listener it would end the process.
  model.on('error', () => {})
  model.on('blocked', (reason) => {
    block ??= { reason, over: Promise.withResolvers() }
  })
  model.on('unblocked', unblock)
  model.on('close', (error) => {
    endedWith = error ?? new Error('the connection was closed')
    unblock()
    // The client only ends its side, and of a broker that is gone nobody would end the other.
    setTimeout(hangUp, GOODBYE_MS).unref()
  })

  async function openChannel(): Promise<ConfirmChannel> {
    const channel = await model.createConfirmChannel()
    usable.add(channel)
    channel.on('error', () => {})
    channel.on('close', () => usable.delete(channel))
    return channel
  }

  return {
    ended: () => endedWith,
    blocked: () => block?.reason,
    async takesMessages() {
      await block?.over.promise
    },
    async take() {
      for (let channel = idle.pop(); channel !== undefined; channel = idle.pop())
        if (usable.has(channel)) return channel
      return openChannel()
    },
    giveBack(channel) {
      if (usable.has(channel)) idle.push(channel)
    },
    discard(channel) {
      if (!usable.delete(channel)) return
      channel.close().catch(() => {})
    },
    async end() {
      const goodbye = async () => model.close()
      await unlessAborted(goodbye(), AbortSignal.timeout(GOODBYE_MS)).catch(() => {})
      hangUp()
    },
  }
}
