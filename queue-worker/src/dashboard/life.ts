/** The life of a message as a list of what happened, told from what is recorded. Pure. */
import type { Delivery, Inspected } from '../queue/operator.ts'

export type Known = Exclude<Inspected, { state: 'unknown' }>

export type LifeEvent = {
  readonly title: string
  readonly tone: 'good' | 'warn' | 'bad' | 'quiet'
  /** Null: it is not recorded. */
  readonly at: string | null
  readonly workerId?: string | null
  readonly error?: string | null
  readonly note?: string
  /** Another message it leads to. */
  readonly leadsTo?: string
}

export function lifeOf(found: Known): LifeEvent[] {
  const { deliveries, sentWithKey, redrivenAs } = found
  const [first] = deliveries
  const earlier = first === undefined ? 0 : first.delivery - 1
  return [
    {
      title: 'Sent',
      tone: 'quiet',
      at: found.enqueuedAt,
      ...(sentWithKey === null ? {} : { note: `with the idempotency key ${sentWithKey}` }),
    },
    ...(earlier > 0 ? [{ title: `${earlier} earlier deliveries`, tone: 'quiet', at: null } as const] : []),
    ...deliveries.flatMap((one) => deliveryEvents(one, found)),
    ...(found.state === 'dead'
      ? [
          {
            title: `Moved to ${found.queue}_dlq as ${found.deadMsgId}`,
            tone: 'bad',
            at: textOf(found.deadLetter?.dead_at),
          } as const,
        ]
      : []),
    ...(redrivenAs === null
      ? []
      : [
          {
            title: 'Redriven',
            tone: 'quiet',
            at: null,
            note: `as message ${redrivenAs}`,
            leadsTo: redrivenAs,
          } as const,
        ]),
    ...next(found),
  ]
}

function deliveryEvents(one: Delivery, found: Known): LifeEvent[] {
  const { delivery, at, workerId, error, aloneSince } = one
  const nth = `Delivery ${delivery}`
  const alone: LifeEvent[] =
    aloneSince === null
      ? []
      : [
          {
            title: `${nth} ran alone`,
            tone: 'quiet',
            at: aloneSince,
            workerId,
            note: 'in a process of its own, as earlier deliveries ended without an outcome',
          },
        ]
  return [...alone, { at, workerId, error, ...ending(nth, one.outcome, found) }]
}

function ending(nth: string, outcome: string, found: Known): Pick<LifeEvent, 'title' | 'tone' | 'note'> {
  switch (outcome) {
    case 'archive':
      return { title: `${nth} succeeded`, tone: 'good', note: 'the message was archived' }
    case 'delete':
      return { title: `${nth} succeeded`, tone: 'good', note: 'the message was deleted' }
    case 'retry':
      return { title: `${nth} failed`, tone: 'warn', note: 'to be tried again' }
    case 'dead':
      return { title: `${nth} failed for good`, tone: 'bad' }
    case 'release':
      return { title: `${nth} was given back`, tone: 'quiet', note: 'its worker stopped before it began' }
    case 'snooze':
      return { title: `${nth} was put off`, tone: 'quiet', note: 'neither a success nor a failure' }
    case 'in_flight':
      return { title: `${nth} is in flight`, tone: 'good', note: 'a worker holds it now' }
    case 'interrupted':
      return {
        title: `${nth} was interrupted`,
        tone: 'warn',
        note: 'no outcome was recorded: its worker died, or lost the connection',
      }
    default:
      return { title: `How ${nth.toLowerCase()} ended is not recorded`, tone: 'quiet', note: found.state }
  }
}

/** What comes next, where something will. */
function next({ state, visibleAt }: Known): LifeEvent[] {
  switch (state) {
    case 'ready':
      return [{ title: 'Waits for a worker', tone: 'quiet', at: visibleAt, note: 'due since then' }]
    case 'in_flight':
      return [{ title: 'Comes back if its worker dies', tone: 'quiet', at: visibleAt }]
    case 'delayed':
      return [{ title: 'Due', tone: 'quiet', at: visibleAt }]
    case 'retrying':
      return [{ title: 'Tried again', tone: 'quiet', at: visibleAt }]
    case 'gone':
      return [
        {
          title: 'Gone',
          tone: 'quiet',
          at: null,
          note: 'deleted on success, discarded as a dead letter, or taken out by hand',
        },
      ]
    default:
      return []
  }
}

export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
