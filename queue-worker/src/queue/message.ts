/** What a read of a message gives. Ids are strings because a bigint does not fit a JavaScript number. */
export type Message = {
  readonly queue: string
  readonly msgId: string
  /** Which read of the message this is, 1 for the first (pgmq's read_ct). The fence of every settle. */
  readonly delivery: number
  /** Deliveries that ended in an error. */
  readonly failures: number
  /** Deliveries that ended without any outcome: crash, kill, lost answer. */
  readonly interruptions: number
  /** Of the interruptions, those of which the message ran alone (see docs/protocol.md, suspects). */
  readonly diedAlone: number
  /** As Postgres prints it, with microseconds: part of the message's identity. */
  readonly enqueuedAt: string
  /** How long it had been visible when it was read, in milliseconds, by the server's clock. */
  readonly waitedMs: number
  /** The message's identity for effects: the same over deliveries, dead letters and redrive. Computed when it is asked for. */
  readonly originKey: string
  readonly payload: unknown
  /** Null where the message or the pgmq version has none. */
  readonly headers: Readonly<Record<string, unknown>> | null
}

/** Names one delivery of one message; what settle and extend are fenced by. */
export type Receipt = Pick<Message, 'queue' | 'msgId' | 'delivery' | 'enqueuedAt'>

/** The message with all it has as data, for another process. */
export function plainMessage(message: Message): Message {
  return { ...message, originKey: message.originKey }
}
