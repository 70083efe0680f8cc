/** Keeps the reader told of insertions, where the connection can: subscribes, and tells when that is interrupted. */
import type { Queue } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Reader } from './reader.ts'

export type Notifications = {
  /** Resolves when it is known whether notifications arrive. Where they could have, it tries again later. */
  start(): Promise<void>
  /** Whether insertions are told at this moment. */
  readonly isOn: boolean
  stop(): Promise<void>
}

const RETRY_MS = 60_000

export function createNotifications(
  { listen }: Pick<Queue, 'listen'>,
  reader: Pick<Reader, 'inserted' | 'setListening'>,
): Notifications {
  const bell = createBell()
  let unlisten: (() => Promise<void>) | null = null
  let isOn = false
  let stopped = false
  let retrying = Promise.resolve()

  function turn(on: boolean): void {
    isOn = on
    reader.setListening(on)
  }

  function onQueue(queue: string): void {
    // All queues at once: the subscription had been lost and is back.
    if (queue === '*' && !isOn) turn(true)
    reader.inserted(queue)
  }

  /** Says whether trying again later might do better. */
  async function subscribe(): Promise<boolean> {
    if (listen === undefined) return false
    try {
      unlisten = await listen(onQueue, () => turn(false))
    } catch {
      return true // the connection failed; whoever reads notices and tells it
    }
    if (unlisten === null) return false
    if (stopped) await unlisten()
    else turn(true)
    return false
  }

  async function retry(): Promise<void> {
    do await bell.wait(RETRY_MS)
    while (!stopped && (await subscribe()))
  }

  return {
    async start() {
      if (await subscribe()) retrying = retry()
    },
    get isOn() {
      return isOn
    },
    async stop() {
      stopped = true
      bell.ring()
      await unlisten?.()
      await retrying
    },
  }
}
