/** The product's types turned into the JSON that the SQL functions take. What jsonb cannot hold is caught here. */
import type { Extension, Outcome, ReadDemand, Send, Settlement, Trip } from './contract.ts'

/** Origin keys that have to be computed are computed here, of those messages whose processor asks for it. */
export function readRequest(demands: readonly ReadDemand[], maxBytes: number) {
  return { queues: demands.map(demandRow), max_bytes: maxBytes, only_given_keys: true }
}

function demandRow(demand: ReadDemand) {
  return { queue: demand.queue, limit: demand.limit, vt_seconds: demand.visibilityTimeoutSeconds }
}

export function leaseRow({ receipt, visibilityTimeoutSeconds }: Extension) {
  return { ...receiptRow(receipt), vt_seconds: visibilityTimeoutSeconds }
}

function receiptRow(receipt: Extension['receipt']) {
  return {
    queue: receipt.queue,
    msg_id: receipt.msgId,
    delivery: receipt.delivery,
    enqueued_at: receipt.enqueuedAt,
  }
}

export function settlementRow({ receipt, outcome, ranMs, waitedMs }: Settlement) {
  // Not spread: nearly all rows are this and nothing more.
  const row = {
    queue: receipt.queue,
    msg_id: receipt.msgId,
    delivery: receipt.delivery,
    enqueued_at: receipt.enqueuedAt,
    ran_ms: toMicroseconds(ranMs),
    waited_ms: toMicroseconds(waitedMs),
    outcome: outcome.kind,
  }
  return outcome.kind === 'release' || (!('delayMs' in outcome) && !('error' in outcome) && !outcome.sends)
    ? row
    : { ...row, ...details(outcome) }
}

/** Milliseconds without the digits that no clock has: they would take longer to write and to read than the rest of the row. */
function toMicroseconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000
}

function details(outcome: Outcome) {
  return {
    ...('delayMs' in outcome ? { delay_ms: outcome.delayMs } : {}),
    ...('breaker' in outcome && outcome.breaker !== undefined ? { breaker: tripRow(outcome.breaker) } : {}),
    ...('error' in outcome ? { error: storableText(outcome.error).slice(0, 8000).toWellFormed() } : {}),
    ...('reason' in outcome ? { reason: outcome.reason, attempts: outcome.attempts } : {}),
    ...('sends' in outcome ? { sends: outcome.sends?.map(sendRow) } : {}),
  }
}

function tripRow({ reason, retryAfterMs }: Trip) {
  return { reason: storableText(reason), retry_after_ms: retryAfterMs }
}

/**
 * A send whose values no jsonb can hold becomes one that the database refuses (QW002). So it is its own settlement
 * that is rejected, not, by a request that cannot be parsed, every other settlement beside it, again and again.
 */
export function sendRow(send: Send) {
  try {
    const row = {
      queue: send.queue,
      message: send.message,
      headers: send.headers,
      delay_seconds: send.delaySeconds,
      at: send.at?.toISOString(),
      idempotency_key: send.idempotencyKey,
      origin_key: send.originKey,
    }
    if (!unstorable.test(JSON.stringify(row))) return row
    return { unsendable: 'the message holds a NUL or half a surrogate pair, which jsonb cannot store' }
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it is no JSON'
    return { unsendable: storableText(`the message cannot be sent: ${why}`) }
  }
}

/** As JSON text: an escaped NUL or lone surrogate, and not the same letters after an escaped backslash. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/

/** jsonb holds neither NUL nor half a surrogate pair; a text with one must not block its settle for ever. */
function storableText(text: string): string {
  return text.replaceAll('\u0000', '\uFFFD').toWellFormed()
}

/** The same for all texts inside a value; undefined becomes null. */
export function storableValue(value: unknown): unknown {
  const json = JSON.stringify(value) ?? 'null'
  if (!unstorable.test(json)) return value ?? null
  return JSON.parse(json, (_key, part: unknown) => {
    if (typeof part === 'string') return storableText(part)
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [storableText(key), inner]))
  })
}
