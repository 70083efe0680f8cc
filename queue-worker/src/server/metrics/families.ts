/** Which metrics there are: their names, what they mean, and how they follow from what is known. Told in docs/metrics.md. Pure. */
import type { QueueOverview } from '../../queue/operator.ts'
import type { CallTally } from './call-tally.ts'
import type { Family, Labels } from './prometheus.ts'
import type { Snapshot } from './snapshot.ts'
import type { QueueTally } from './tally.ts'

export function familiesOf({ version, health, queues, depths, ...called }: Snapshot): Family[] {
  const { transport, wake } = health
  const own = (value: number | undefined): Samples => (value === undefined ? [] : [[{}, value]])
  return [
    gauge('info', 'What runs here; always 1.', [
      [{ version, transport, ...(wake === undefined ? {} : { wake }) }, 1],
    ]),
    gauge('ready', '1 while it can work.', own(Number(health.ready))),
    gauge(
      'database_down_seconds',
      'For how long the database has not answered it.',
      own(health.downMs / 1000),
    ),
    gauge('in_flight_messages', 'Messages that this worker holds.', own(health.inFlight)),
    gauge('unsettled_messages', 'Outcomes that the database has not recorded yet.', own(health.unsettled)),
    gauge(
      'zombies',
      'Processors that ran past their time limit and ignore their abort.',
      own(health.zombies),
    ),
    ...callFamilies(called),
    ...tallied(queues),
    ...counted(depths?.queues ?? []),
    gauge('depths_age_seconds', 'How old the numbers of the queues are.', own(depths?.ageSeconds)),
  ]
}

function callFamilies({ calls, scheduleRuns, scheduleLagSeconds }: CallTally): Family[] {
  const used = Object.entries(calls).filter(([, { seconds }]) => seconds.count > 0)
  return [
    {
      ...named('call_seconds', 'How long calls to the database took, also those that failed.'),
      type: 'histogram',
      samples: used.map(([call, { seconds }]) => [{ call }, seconds] as const),
    },
    counter(
      'call_failures_total',
      'Calls to the database that failed; settles among them are repeated.',
      used.map(([call, { failures }]) => [{ call }, failures] as const),
    ),
    counter('schedule_runs_total', 'Messages that were sent here because a schedule asked for them.', [
      [{}, scheduleRuns],
    ]),
    {
      ...named('schedule_lag_seconds', 'How long after its time a run of a schedule was sent here.'),
      type: 'histogram',
      samples: [[{}, scheduleLagSeconds]],
    },
  ]
}

function tallied(queues: Snapshot['queues']): Family[] {
  const each = <T>(of: (tally: QueueTally, labels: Labels) => T[]) =>
    Object.entries(queues).flatMap(([queue, tally]) => of(tally, { queue }))
  const by = (label: string, numbers: Readonly<Record<string, number>>, labels: Labels) =>
    Object.entries(numbers).map(([value, count]) => [{ ...labels, [label]: value }, count] as const)
  return [
    counter(
      'processed_total',
      'Deliveries that ended here and are recorded, by outcome.',
      each(({ processed }, labels) => by('outcome', processed, labels)),
    ),
    counter(
      'failures_total',
      'Deliveries that failed here: an error, the time limit, or why they became dead letters.',
      each(({ failures }, labels) => by('reason', failures, labels)),
    ),
    counter(
      'leases_lost_total',
      'Messages whose lease ran out here before their outcome was recorded.',
      each(({ leasesLost }, labels) => [[labels, leasesLost] as const]),
    ),
    counter(
      'interruptions_total',
      'Messages that came back because their worker had disappeared.',
      each(({ interruptions }, labels) => [[labels, interruptions] as const]),
    ),
    {
      ...named('run_seconds', 'How long processors ran.'),
      type: 'histogram',
      samples: each(({ runSeconds }, labels) => [[labels, runSeconds] as const]),
    },
    {
      ...named('wait_seconds', 'How long messages that were due waited for their processor.'),
      type: 'histogram',
      samples: each(({ waitSeconds }, labels) => [[labels, waitSeconds] as const]),
    },
  ]
}

const BREAKER_STATES = ['closed', 'open', 'half_open'] as const

function counted(counts: readonly QueueOverview[]): Family[] {
  const each = (of: (one: QueueOverview) => number) =>
    counts.map((one) => [{ queue: one.queue }, of(one)] as const)
  const limited = counts.flatMap(({ queue, rateLimit }) =>
    rateLimit === null ? [] : [{ queue, ...rateLimit }],
  )
  const states = {
    ready: 'ready',
    in_flight: 'inFlight',
    delayed: 'delayed',
    retrying: 'retrying',
    dead: 'dead',
  } as const
  return [
    gauge(
      'queue_messages',
      'Messages of a queue by state; 10,000 and more of a state are an estimate.',
      counts.flatMap((one) =>
        Object.entries(states).map(([state, of]) => [{ queue: one.queue, state }, one[of]] as const),
      ),
    ),
    gauge(
      'queue_oldest_ready_seconds',
      'For how long the message has been due that is due longest; 0 when none is.',
      each((one) => one.oldestReadySeconds ?? 0),
    ),
    gauge(
      'queue_paused',
      '1 while the queue is paused for all workers.',
      each((one) => Number(one.paused)),
    ),
    gauge(
      'breaker_state',
      '1 for the state that the breaker of a queue is in.',
      counts.flatMap(({ queue, breaker }) =>
        BREAKER_STATES.map(
          (state) => [{ queue, state }, Number((breaker?.state ?? 'closed') === state)] as const,
        ),
      ),
    ),
    gauge(
      'breaker_trips',
      'How often the breaker of a queue has tripped in a row; 0 while it is closed.',
      each((one) => one.breaker?.trips ?? 0),
    ),
    gauge(
      'rate_limit_messages',
      'How many messages of a queue may be given out in its period.',
      limited.map(({ queue, maxMessages }) => [{ queue }, maxMessages]),
    ),
    gauge(
      'rate_limit_period_seconds',
      'The period of the rate limit of a queue.',
      limited.map(({ queue, periodSeconds }) => [{ queue }, periodSeconds]),
    ),
    gauge(
      'rate_limit_left_messages',
      'How many messages of a queue its rate limit allows at this moment.',
      limited.map(({ queue, left }) => [{ queue }, left]),
    ),
  ]
}

type Samples = Extract<Family, { type: 'gauge' | 'counter' }>['samples']

function named(name: string, help: string) {
  return { name: `queue_worker_${name}`, help }
}

function gauge(name: string, help: string, samples: Samples): Family {
  return { ...named(name, help), type: 'gauge', samples }
}

function counter(name: string, help: string, samples: Samples): Family {
  return { ...named(name, help), type: 'counter', samples }
}
