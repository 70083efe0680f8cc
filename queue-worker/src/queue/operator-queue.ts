/** The operator's part of the queue: requests in the protocol's JSON, answers checked and typed. */
import type { z } from 'zod'
import type { LetterFilter, Operator } from './operator.ts'
import * as rows from './operator-rows.ts'

type Ask = <T>(entryPoint: string, request: object, schema: z.ZodType<T>) => Promise<T>

export function createOperator(ask: Ask): Operator {
  return {
    overview: (queues) => ask('overview', { queues }, rows.overviewRows),
    inspect: (queue, msgId) => ask('inspect', { queue, msg_id: msgId }, rows.inspectedRow),
    deadLetters: (queue, { limit, withMessages, ...filter }) =>
      ask(
        'dead_letters',
        { queue, limit, with_messages: withMessages, ...filterRow(filter) },
        rows.deadLetterRows,
      ),
    countDeadLetters: (queue, { limit, ...filter }) =>
      ask('count_dead_letters', { queue, limit, ...filterRow(filter) }, rows.letterCountRow),
    redrive: (queue, { limit, forgetUncertain, perSecond, delaySeconds, by, ...filter }) =>
      ask(
        'redrive',
        {
          queue,
          limit,
          forget_uncertain: forgetUncertain,
          per_second: perSecond,
          delay_seconds: delaySeconds,
          by,
          ...filterRow(filter),
        },
        rows.redriveRows,
      ),
    discardDeadLetters: (queue, { limit, all, by, ...filter }) =>
      ask('discard_dead_letters', { queue, limit, all, by, ...filterRow(filter) }, rows.discardedRow),
    prune: ({ days, archiveDays, limit, after }) =>
      ask('prune', { days, archive_days: archiveDays, limit, after }, rows.prunedRow),
  }
}

/** A choice of dead letters as the protocol has it. */
export function filterRow({ msgIds, reason, error, since, before, afterId, upToId }: LetterFilter) {
  return {
    msg_ids: msgIds,
    reason,
    error,
    since: since?.toISOString(),
    before: before?.toISOString(),
    after_id: afterId,
    up_to_id: upToId,
  }
}
