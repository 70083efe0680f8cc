/** A message as a read gives it. Checked and turned by hand: this is done for every message, hundreds at a time. */
import type { Message } from './message.ts'
import { computedOriginKey } from './origin-key.ts'

export type MessageRow = {
  readonly queue: string
  readonly msg_id: string
  readonly delivery: number
  readonly failures: number
  readonly interruptions: number
  readonly died_alone: number
  readonly enqueued_at: string
  readonly waited_ms: number
  readonly origin_key: string | null
  readonly message: unknown
  readonly headers: unknown
}

export function isMessageRow(row: Partial<Record<keyof MessageRow, unknown>> | null): boolean {
  return (
    typeof row?.queue === 'string' &&
    typeof row.msg_id === 'string' &&
    typeof row.delivery === 'number' &&
    typeof row.failures === 'number' &&
    typeof row.interruptions === 'number' &&
    typeof row.died_alone === 'number' &&
    typeof row.enqueued_at === 'string' &&
    typeof row.waited_ms === 'number' &&
    (typeof row.origin_key === 'string' || row.origin_key === null)
  )
}

/** A class, so that the key is computed only when somebody asks for it. */
export class ReadMessage implements Message {
  readonly queue: string
  readonly msgId: string
  readonly delivery: number
  readonly failures: number
  readonly interruptions: number
  readonly diedAlone: number
  readonly enqueuedAt: string
  readonly waitedMs: number
  readonly payload: unknown
  readonly headers: Message['headers']
  readonly #givenKey: string | null

  constructor(row: MessageRow) {
    this.queue = row.queue
    this.msgId = row.msg_id
    this.delivery = row.delivery
    this.failures = row.failures
    this.interruptions = row.interruptions
    this.diedAlone = row.died_alone
    this.enqueuedAt = row.enqueued_at
    this.waitedMs = row.waited_ms
    this.payload = row.message ?? null
    this.headers = isObject(row.headers) ? row.headers : null
    this.#givenKey = row.origin_key
  }

  get originKey(): string {
    return this.#givenKey ?? computedOriginKey(this.queue, this.msgId, this.enqueuedAt)
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
