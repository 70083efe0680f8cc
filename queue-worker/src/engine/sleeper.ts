/** A worker that sleeps: one worker for each time that it is awake. In between there is no connection, and no timer but for the next message due. */
import type { Logger } from 'pino'
import { ConnectionFailure, coerceError } from '../errors.ts'
import { age } from '../utils/duration.ts'
import { sleep } from '../utils/sleep.ts'
import { createThrottle } from '../utils/throttle.ts'
import type { Health } from './health.ts'
import { TOLERATED_OUTAGE_MS } from './part-health.ts'
import { MAX_TIMER_MS } from './settings.ts'
import type { Worker } from './worker.ts'

/** What can be woken; a worker that never sleeps just looks. */
export type Wakeable = Pick<Worker, 'start' | 'stop' | 'done' | 'health'> & {
  /** There may be something to do: it reads soon, awake or not. True when it was asleep. */
  wake(by: string): boolean
  /** Runs what needs the worker's connection, and keeps it open meanwhile. Rejects with ConnectionFailure when the worker stops. */
  use<T>(by: string, run: () => Promise<T>): Promise<T>
}

export type SleeperParts = {
  readonly first: Worker
  /** The next one, made anew with connections of its own. */
  readonly open: () => Promise<Worker>
  /** So long without anything to do, and it falls asleep. */
  readonly idleMs: number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/** However often somebody asks, one more read in so many milliseconds is enough. */
const LOOK_EVERY_MS = 1000
/** Falls asleep only when a read as young as this found nothing. */
const FRESH_MS = 2000

export function neverSleeps(worker: Worker): Wakeable {
  const look = createThrottle(worker.lookNow, LOOK_EVERY_MS)
  return {
    ...worker,
    wake(_by) {
      look.call()
      return false
    },
    use: (_by, run) => run().finally(look.call),
  }
}

/** There from the moment at which it decides to fall asleep until there is a worker again. Rings once, with who woke it. */
type Alarm = { readonly rang: Promise<string>; ring(by: string): void }

export function createSleeper({ first, open, idleMs, logger }: SleeperParts): Wakeable {
  const now = () => performance.now()
  const look = createThrottle(() => worker.lookNow(), LOOK_EVERY_MS)
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => {})
  let worker = first
  let alarm: Alarm | null = null
  /** Resolves while there is a worker whose connection may be used. */
  let opened = openedNow()
  let users = 0
  let activeAtMs = now()
  let wokenAtMs = Number.NEGATIVE_INFINITY
  let stopping: Promise<void> | null = null
  let living: Promise<void> = Promise.resolve()

  async function live(): Promise<void> {
    while (await tires(worker)) {
      const by = await rest(worker)
      if (stopping !== null) return
      worker = await open()
      alarm = null
      wokenAtMs = activeAtMs = now()
      opened.resolve()
      if (stopping !== null) return await worker.stop('it was told to while it woke up')
      logger.info({ by }, `awake: ${by}`)
      await worker.start()
    }
  }

  /** True when it is to fall asleep, which nothing can come between any more; false when the worker has ended. */
  async function tires(one: Worker): Promise<boolean> {
    let hasEnded = false
    const ended = one.done.then(() => {
      hasEnded = true
    })
    while (!hasEnded) {
      await Promise.race([ended, sleep(Math.min(1000, idleMs / 4))])
      if (hasEnded || stopping !== null || !isTired(one)) continue
      const { promise, resolve } = Promise.withResolvers<string>()
      alarm = { rang: promise, ring: resolve }
      opened = Promise.withResolvers()
      opened.promise.catch(() => {})
      return true
    }
    return false
  }

  function isTired(one: Worker): boolean {
    const quiet = one.quiet()
    if (quiet === null || users > 0 || one.health().zombies > 0) return false
    if (now() - Math.max(quiet.sinceMs, activeAtMs) < idleMs) return false
    // It would be woken before it has saved anything.
    if (quiet.nextDueInMs !== null && quiet.nextDueInMs < idleMs) return false
    if (quiet.readAtMs >= Math.max(activeAtMs, now() - FRESH_MS)) return true
    one.lookNow()
    return false
  }

  /** Closes all, then waits for the alarm or the next message that falls due. Resolves with who woke it. */
  async function rest(one: Worker): Promise<string> {
    const { rang } = alarm ?? { rang: Promise.resolve('nobody') }
    await one.stop('there is nothing to do, it falls asleep')
    await one.done.catch((error: unknown) =>
      logger.warn({ err: coerceError(error) }, 'not everything could be closed before falling asleep'),
    )
    const quiet = one.quiet()
    const dueInMs = quiet === null ? 0 : Math.min(quiet.nextDueInMs ?? Number.POSITIVE_INFINITY, MAX_TIMER_MS)
    const until =
      Number.isFinite(dueInMs) && dueInMs < MAX_TIMER_MS
        ? `; a message falls due in ${age(dueInMs / 1000)}`
        : ''
    if (stopping === null && dueInMs > 0)
      logger.info(`asleep, without any connection, until somebody asks for /wake${until}`)
    const woken = new AbortController()
    const fellDue = sleep(dueInMs, woken.signal).then(() =>
      quiet === null ? 'a message came while it fell asleep' : 'a message falls due',
    )
    const by = await Promise.race([rang, fellDue])
    woken.abort()
    return by
  }

  async function end(): Promise<void> {
    alarm?.ring('it is told to stop')
    opened.reject(stoppingFailure())
    look.cancel()
    await living
    done.resolve()
  }

  return {
    async start() {
      await worker.start()
      activeAtMs = now()
      living = live().catch((error: unknown) => done.reject(error))
      void living.then(done.resolve)
    },
    stop(reason, options) {
      stopping ??= Promise.resolve().then(end)
      return Promise.all([worker.stop(reason, options), stopping]).then(() => {})
    },
    done: done.promise,
    health: () => healthOf(),
    wake(by) {
      activeAtMs = now()
      if (alarm === null) look.call()
      else alarm.ring(by)
      return alarm !== null
    },
    async use(by, run) {
      if (stopping !== null) throw stoppingFailure()
      users += 1
      alarm?.ring(by)
      try {
        await opened.promise
        return await run()
      } finally {
        users -= 1
        activeAtMs = now()
        if (alarm === null) look.call()
      }
    },
  }

  /** It is well while it sleeps, and while it wakes up; who asks need not send others away. */
  function healthOf(): Health {
    const health = worker.health()
    if (stopping !== null) return health
    const well = { ready: true, reason: null }
    if (alarm !== null) return { ...health, ...well, state: 'sleeping' }
    const isWaking = health.state === 'starting' && now() - wokenAtMs < TOLERATED_OUTAGE_MS
    return isWaking ? { ...health, ...well } : health
  }
}

function openedNow(): PromiseWithResolvers<void> {
  const opened = Promise.withResolvers<void>()
  opened.promise.catch(() => {})
  opened.resolve()
  return opened
}

function stoppingFailure(): ConnectionFailure {
  return new ConnectionFailure(
    'disconnected',
    'the worker is stopping',
    'It is started again, or another is asked.',
    true,
  )
}
