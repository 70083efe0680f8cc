/** Notifications of new messages: subscribed, proven to arrive, and reported when they break. */
import type { Sql } from 'postgres'
import { QUEUE_NAME } from '../../config/fields.ts'
import { openPool, type PoolOptions } from './pool.ts'

/** What the triggers notify; the payload is the queue's name. */
const CHANNEL = 'queue_worker'

export type Listening = {
  readonly onQueue: (queue: string) => void
  readonly onLost?: (() => void) | undefined
}

/**
 * Subscribes on a connection of its own. Null when a probe sent through `sender` does not arrive within
 * `probeMs`; rejects when the server cannot be reached. postgres.js subscribes again after a loss.
 */
export async function listen(
  pool: Omit<PoolOptions, 'max' | 'idleSeconds' | 'pauseSeconds'>,
  sender: Sql,
  { onQueue, onLost }: Listening,
  probeMs = 3000,
): Promise<(() => Promise<void>) | null> {
  let state: 'starting' | 'on' | 'lost' | 'stopped' = 'starting'
  const probe = `probe:${crypto.randomUUID()}`
  const arrived = Promise.withResolvers<void>()

  const sql = openPool({
    ...pool,
    max: 1,
    idleSeconds: null,
    // postgres.js asks for this pause whenever the connection ended, and tells of it in no other way.
    pauseSeconds: () => {
      if (state === 'on') {
        state = 'lost'
        onLost?.()
      }
      return 0.5 + Math.random()
    },
  })
  const stop = async () => {
    state = 'stopped'
    await sql.end({ timeout: 1 })
  }

  try {
    await sql.listen(
      CHANNEL,
      (payload) => {
        if (payload === probe) arrived.resolve()
        else if (state !== 'stopped' && QUEUE_NAME.test(payload)) onQueue(payload)
      },
      () => {
        if (state !== 'lost') return
        state = 'on'
        onQueue('*')
      },
    )
    if (await provesItself(sender, probe, arrived.promise, probeMs)) {
      state = 'on'
      return stop
    }
  } catch (error) {
    await stop()
    throw error
  }
  await stop()
  return null
}

/** Sends the probe a few times, since the first may have come before the subscription took effect. */
async function provesItself(sender: Sql, probe: string, arrived: Promise<void>, limitMs: number) {
  const attempts = 4
  for (let attempt = 0; attempt < attempts; attempt++) {
    await sender`select pg_notify(${CHANNEL}::text, ${probe}::text)`
    let timer: NodeJS.Timeout | undefined
    const pause = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, limitMs / attempts, false)
    })
    const heard = await Promise.race([arrived.then(() => true), pause])
    clearTimeout(timer)
    if (heard) return true
  }
  return false
}
