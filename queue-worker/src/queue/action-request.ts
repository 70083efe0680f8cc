import type { Action } from './actions.ts'
import { filterRow } from './operator-queue.ts'
import { sendRow } from './requests.ts'

/** An action as the protocol has it. A message that no jsonb can hold is refused by the database, as in a send. */
export function actionRow(action: Action): object {
  switch (action.action) {
    case 'retry_now':
      return {
        ...{ action: action.action, queue: action.queue, msg_ids: action.msgIds, limit: action.limit },
        begun_with: action.begunWith,
      }
    case 'redrive':
      return {
        ...lettersRow(action),
        forget_uncertain: action.forgetUncertain,
        per_second: action.perSecond,
        delay_seconds: action.delaySeconds,
      }
    case 'discard':
      return { ...lettersRow(action), all: action.all }
    case 'send': {
      const { queue, message, delaySeconds, idempotencyKey } = action
      const send = {
        queue,
        message,
        ...(delaySeconds === undefined ? {} : { delaySeconds }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      }
      return { action: 'send', queue, send: sendRow(send) }
    }
    case 'undo':
      return { action: 'undo', audit_id: action.auditId }
    default:
      return action
  }
}

function lettersRow(action: Extract<Action, { action: 'redrive' | 'discard' }>) {
  return { action: action.action, queue: action.queue, limit: action.limit, ...filterRow(action) }
}
