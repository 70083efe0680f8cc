/** Which messages a person means: the fields of a query or a form as a filter, and back. Pure. */
import type { DeadReason } from '../queue/contract.ts'
import type { LetterFilter } from '../queue/operator.ts'
import { parseMoment } from '../utils/duration.ts'
import { PageError } from './asked.ts'

const REASONS: readonly DeadReason[] = [
  'invalid_payload',
  'unrecoverable',
  'attempts_exhausted',
  'interruptions_exhausted',
]
const MSG_ID = /^\d{1,19}$/
/** As the field datetime-local has it; in UTC, as all that the server writes. */
const LOCAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/

export function readChoice(given: URLSearchParams): LetterFilter {
  const msgIds = given.getAll('msg_ids').flatMap((one) => one.split(',').filter((id) => id !== ''))
  const strange = msgIds.find((id) => !MSG_ID.test(id))
  if (strange !== undefined) throw unclear(`"${strange.slice(0, 40)}" is no id of a message.`)
  return {
    ...(msgIds.length > 0 ? { msgIds: [...new Set(msgIds)] } : {}),
    ...optional('reason', reasonOf(given.get('reason') ?? '')),
    ...optional('error', given.get('error') || undefined),
    ...optional('since', momentOf(given.get('since') ?? '')),
    ...optional('before', momentOf(given.get('before') ?? '')),
  }
}

export function choiceFields({
  msgIds = [],
  reason,
  error,
  since,
  before,
}: LetterFilter): [string, string][] {
  const fields: [string, string | undefined][] = [
    ['msg_ids', msgIds.length > 0 ? msgIds.join(',') : undefined],
    ['reason', reason],
    ['error', error],
    ['since', since?.toISOString()],
    ['before', before?.toISOString()],
  ]
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]]))
}

/** "with the reason unrecoverable, whose error says “timeout”"; empty: all. */
export function tellChoice({ msgIds, reason, error, since, before }: LetterFilter): string {
  return [
    msgIds && (msgIds.length === 1 ? `number ${msgIds[0]}` : 'that you selected'),
    reason && `with the reason ${reason}`,
    error && `whose error says “${error}”`,
    since && `that died at ${utc(since)} or later`,
    before && `that died before ${utc(before)}`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}

const utc = (date: Date) => `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`

const optional = <Key extends string, Value>(key: Key, value: Value | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value }

function reasonOf(text: string): DeadReason | undefined {
  if (text === '') return undefined
  return REASONS.find((one) => one === text) ?? raise(`"${text.slice(0, 40)}" is no reason of a dead letter.`)
}

function momentOf(text: string): Date | undefined {
  if (text === '') return undefined
  return parseMoment(LOCAL.test(text) ? `${text}Z` : text) ?? raise(`"${text.slice(0, 40)}" is no time.`)
}

function raise(message: string): never {
  throw unclear(message)
}

const unclear = (message: string) =>
  new PageError(400, message, 'Nothing was done. Go back to the queue, and choose again.')
