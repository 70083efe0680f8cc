/** What was done, as a sentence: for the notice after it, and for the audit. Pure. */
import type { AuditRow } from '../queue/dashboard.ts'
import { count } from './format.ts'

export type Act = Pick<AuditRow, 'action' | 'queue' | 'target'>

/** "12 dead letters of email_queue were sent back". */
export function tellAct({ action, queue, target }: Act, howMany: number): string {
  const many = (one: string, more: string) =>
    howMany === 1 ? `1 ${one} was` : `${count(howMany)} ${more} were`
  const letters = many(`dead letter of ${queue}`, `dead letters of ${queue}`)
  switch (action) {
    case 'pause':
      return `${queue} was paused`
    case 'resume':
      return `${queue} was resumed`
    case 'retry_now':
      return `${many(`message of ${queue}`, `messages of ${queue}`)} made due now`
    case 'redrive':
      return `${letters} sent back`
    case 'discard':
      return `${letters} discarded`
    case 'send':
      return howMany === 0
        ? `This message was sent to ${queue} before, and not once more`
        : `A message was sent to ${queue}`
    case 'run_schedule':
      return `The schedule ${target.name} was run`
    case 'enable_schedule':
      return `The schedule ${target.name} was ${target.enabled === false ? 'paused' : 'resumed'}`
    case 'undo':
      return tellUndo({ action: `${target.action}`, queue, target }, letters, howMany)
    default:
      return `${action}${queue === null ? '' : ` of ${queue}`}`
  }
}

function tellUndo({ action, queue }: Act, letters: string, howMany: number): string {
  switch (action) {
    case 'redrive':
      return `Undone: ${howMany === 1 ? '1 message' : `${count(howMany)} messages`} of ${queue} went back to the dead letters`
    case 'discard':
      return `Undone: ${letters} brought back`
    case 'send':
      return `Undone: the message was taken out of ${queue}`
    case 'pause':
      return `Undone: ${queue} runs again`
    case 'resume':
      return `Undone: ${queue} is paused again`
    default:
      return 'Undone: it is as it was before'
  }
}

/** Which ones, where not all were meant: "reason unrecoverable, up to 1234". */
export function tellTarget({ target }: Act): string {
  return Object.entries(target)
    .filter(([name, value]) => !TOLD.has(name) && value !== null && value !== undefined && value !== false)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${shown(value)}`)
    .join(', ')
}

/** Said by the sentence. */
const TOLD = new Set(['name', 'enabled', 'audit_id', 'queue', 'action'])
const MOST = 60

function shown(value: unknown): string {
  const text = Array.isArray(value)
    ? value.length > 5
      ? `${value.slice(0, 5).join(' ')} … (${value.length})`
      : value.join(' ')
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value)
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text
}
