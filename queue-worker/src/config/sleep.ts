/** Sleeping when idle: only for a worker that somebody wakes. */
import type { Gathered, Problem } from './gather.ts'
import type { Values } from './settings.ts'
import type { Config } from './types.ts'

export function sleepSettings(values: Values): Config['sleep'] {
  const { WORKER_SLEEP_WHEN_IDLE_SECONDS: whenIdleSeconds, WORKER_WOKEN_BY: wokenBy } = values
  return whenIdleSeconds === undefined ? null : { whenIdleSeconds, wokenBy }
}

export function sleepRules({ values }: Gathered): {
  problems: readonly Problem[]
  warnings: readonly string[]
} {
  const { WORKER_WOKEN_BY: wokenBy, PORT, HOST, SCHEDULER } = values
  if (values.WORKER_SLEEP_WHEN_IDLE_SECONDS === undefined) {
    const unused = 'WORKER_WOKEN_BY is set without WORKER_SLEEP_WHEN_IDLE_SECONDS: the worker never sleeps'
    return { problems: [], warnings: wokenBy === undefined ? [] : [unused] }
  }
  const problems: Problem[] = []
  const warnings: string[] = []
  if (wokenBy === undefined) {
    const wrong =
      'is missing: with WORKER_SLEEP_WHEN_IDLE_SECONDS the worker sleeps until somebody wakes it; allowed: producer (createProducer with a wake address), ' +
      'pg_net (a trigger: select queue_worker.wake_by(…)), request (whatever else asks for /wake or sends over HTTP); see docs/sleep.md'
    problems.push({ name: 'WORKER_WOKEN_BY', wrong })
  }
  if (PORT === null) {
    const wrong =
      'is off, so that nobody can wake a worker that sleeps; allowed: the port at which /wake is asked for'
    problems.push({ name: 'PORT', wrong })
  }
  if (SCHEDULER) {
    const wrong =
      'is on, and a scheduler cannot sleep: it looks for schedules all the time; allowed with WORKER_SLEEP_WHEN_IDLE_SECONDS: off, with schedules sent by ' +
      'a `queue-worker scheduler` elsewhere, or by pg_cron'
    problems.push({ name: 'SCHEDULER', wrong })
  }
  if (/^(127\.|localhost$|::1$)/.test(HOST)) {
    warnings.push(
      `HOST is ${HOST}: a worker that sleeps can be woken from this machine alone; 0.0.0.0 listens on all its networks`,
    )
  }
  return { problems, warnings }
}
