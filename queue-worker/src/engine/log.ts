/** Every sentence the worker logs, by event. Payloads are never among them. */
import type { Logger } from 'pino'
import type { Outcome, QueueState, QueueStatus } from '../queue/contract.ts'
import type { Receipt } from '../queue/message.ts'
import { describeRateLimit } from '../utils/rate-limit.ts'
import type { Listener } from './events.ts'

export function workerLog(log: Logger): Listener {
  return {
    connected: ({ workerId, version, transport, target, database }) => {
      const { postgresVersion: postgres, pgmqVersion, migration, protocol, role } = database
      const pgmq = pgmqVersion ?? 'installed by script'
      log.info(
        { version, worker_id: workerId, transport, target, role, postgres, pgmq, migration, protocol },
        `queue-worker ${version} (${workerId}) is connected to ${target} over ${transport} as ${role}: ` +
          `PostgreSQL ${postgres}, pgmq ${pgmq}, migration ${migration}, protocol ${protocol}`,
      )
    },
    started: ({ workerId, transport, target, queues, wake, isolation }) =>
      log.info(
        { worker_id: workerId, transport, target, queues, wake, isolation },
        `worker ${workerId} reads ${queues.join(', ')} over ${transport} from ${target}, ` +
          (wake === 'notify' ? 'woken by notifications' : 'polling'),
      ),
    read: ({ messages, durationMs }) =>
      log.debug({ messages, ms: round(durationMs) }, `read ${messages} messages`),
    returned: ({ message }) =>
      log.warn(
        { ...name(message), delivery: message.delivery, interruptions: message.interruptions },
        `message ${message.msgId} of ${message.queue} returned after its worker disappeared`,
      ),
    isolated: ({ message }) =>
      log.warn(
        { ...name(message), interruptions: message.interruptions },
        `message ${message.msgId} of ${message.queue} was interrupted ${message.interruptions} times; it runs alone now`,
      ),
    finished: ({ message, outcome, ranMs, error }) => {
      const isTrouble = outcome.kind === 'dead' || outcome.kind === 'retry'
      if (!isTrouble && !log.isLevelEnabled('debug')) return
      const fields = {
        ...name(message),
        outcome: outcome.kind,
        attempt: message.failures + 1,
        ms: round(ranMs),
      }
      const sentence = `message ${message.msgId} of ${message.queue} ${describe(outcome)}`
      if (outcome.kind === 'dead') log.error({ ...fields, reason: outcome.reason, err: error }, sentence)
      else if (outcome.kind === 'retry') log.warn({ ...fields, err: error }, sentence)
      else log.debug(fields, sentence)
    },
    settled: ({ receipt, kind, status, error }) => {
      if (status === 'rejected') {
        log.error(
          { ...name(receipt), outcome: kind, reason: error },
          `the outcome of message ${receipt.msgId} was refused`,
        )
      }
    },
    zombie: ({ message, ranMs }) =>
      log.error(
        { ...name(message), ms: round(ranMs) },
        `the processor of message ${message.msgId} ignores its abort; it keeps its slot until it ends`,
      ),
    zombieEnded: ({ message }) =>
      log.info(name(message), `the processor of message ${message.msgId} has ended after all`),
    leaseLost: ({ message }) =>
      log.warn(
        name(message),
        `lost the hold on message ${message.msgId} of ${message.queue}; another delivery decides about it`,
      ),
    queueState: (state) => {
      const { queue, status, error, breaker } = state
      const sentence = describeState(state)
      if (status === 'missing') log.error({ queue, remedy: `select pgmq.create('${queue}');` }, sentence)
      else if (status === 'error') log.error({ queue, reason: error }, sentence)
      else if (status === 'breaker_open')
        log.warn({ queue, status, trips: breaker?.trips, reason: breaker?.reason }, sentence)
      else log.info({ queue, status }, sentence)
    },
    rateLimitSet: ({ queue, limit }) =>
      log.info(
        { queue, rate_limit: limit === null ? 'off' : describeRateLimit(limit) },
        limit === null
          ? `queue ${queue} has no rate limit now, as the settings say`
          : `queue ${queue} gives out at most ${limit.maxMessages} messages in any ${limit.periodSeconds} s now, over all workers, as the settings say`,
      ),
    connectionLost: ({ failure }) =>
      log.error(
        { kind: failure.kind, remedy: failure.remedy },
        `the database cannot be used: ${failure.message}`,
      ),
    connectionBack: ({ downMs, failures }) =>
      log.info(
        { down_ms: round(downMs), failures },
        `the database answers again after ${Math.round(downMs / 1000)} s`,
      ),
    registryFailed: ({ failure }) =>
      log.warn(
        { kind: failure.kind, remedy: failure.remedy },
        `the worker cannot be registered, and cannot be asked to drain: ${failure.message}`,
      ),
    isolationFailed: ({ error }) =>
      log.error({ err: error }, 'the child process for suspect messages could not be started; they wait'),
    schedulerStarted: ({ transport, target, pollMs }) =>
      log.info(
        { transport, target, poll_ms: pollMs },
        `the scheduler sends what schedules ask for, over ${transport} to ${target}; it notices changes within ${pollMs / 1000} s`,
      ),
    ticked: ({ schedule, sent, missed }) => {
      if (missed === null) log.debug({ schedule, sent }, `schedule ${schedule}: ${sent} sent`)
      else {
        const [first, last] = [missed.first.toISOString(), missed.last.toISOString()]
        log.warn(
          { schedule, sent, first_missed: first, last_missed: last },
          `schedule ${schedule} missed its runs from ${first} to ${last}; ${sent} sent now`,
        )
      }
    },
    scheduleFailed: ({ schedule, error }) =>
      log.error({ schedule, reason: error }, `schedule ${schedule} cannot run: ${error}`),
    pruned: ({ deleted }) => {
      const rows = Object.values(deleted).reduce((sum, count) => sum + count, 0)
      log.info({ deleted }, `${rows} old records were deleted`)
    },
    pruneFailed: ({ failure }) =>
      log.error(
        { remedy: failure.remedy },
        `old records cannot be deleted, so tables grow: ${failure.message}`,
      ),
    stopping: ({ running, buffered, reason }) =>
      log.info(
        { running, buffered, reason },
        `stopping (${reason}): ${running} running, ${buffered} given back`,
      ),
    drainTimedOut: ({ running }) =>
      log.warn(
        { running },
        `the drain limit has passed; ${running} running messages are aborted and given back`,
      ),
    stopped: ({ reason }) => log.info({ reason }, 'stopped'),
  }
}

function name({ queue, msgId }: Pick<Receipt, 'queue' | 'msgId'>) {
  return { queue, msg_id: msgId }
}

function describeState(state: QueueState & { before: QueueStatus }): string {
  const { queue, status, before, breaker, error, nextVisibleInMs } = state
  const seconds = Math.ceil((nextVisibleInMs ?? 0) / 1000)
  switch (status) {
    case 'missing':
      return `queue ${queue} does not exist any more`
    case 'error':
      return `queue ${queue} cannot be read: ${error}`
    case 'paused':
      return `queue ${queue} is paused`
    case 'limited':
      return `the rate limit of queue ${queue} is used up; messages wait`
    case 'breaker_open':
      return `the breaker of queue ${queue} is open for ${seconds} s (trip ${breaker?.trips}): ${breaker?.reason}`
    case 'breaker_half_open':
      return `the breaker of queue ${queue} is half-open: one message at a time is tried`
    case 'ok':
      return before.startsWith('breaker')
        ? `the breaker of queue ${queue} is closed`
        : `queue ${queue} is read again`
  }
}

function describe(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'archive':
      return 'succeeded and is archived'
    case 'delete':
      return 'succeeded and is deleted'
    case 'retry':
      return `failed; next attempt in ${Math.ceil(outcome.delayMs / 1000)} s`
    case 'dead':
      return `became a dead letter (${outcome.reason})`
    case 'release':
      return 'is given back'
    case 'snooze':
      if (outcome.breaker !== undefined) return 'waits: it met an outage, and the breaker of its queue opens'
      return `is put off for ${Math.ceil(outcome.delayMs / 1000)} s`
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
