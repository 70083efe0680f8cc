/** What is computed of a message's identity only when somebody asks: few processors do, and every read would pay for it. */
import { createHash } from 'node:crypto'

/** As `queue_worker.computed_origin_key` does: 32 hex digits. */
export function computedOriginKey(queue: string, msgId: string, enqueuedAt: string): string {
  const identity = `${queue}/${msgId}/${microseconds(enqueuedAt)}`
  return createHash('sha256').update(identity).digest('hex').slice(0, 32)
}

/** When a timestamp was, to the millisecond. */
export function dateOf(timestamp: string): Date {
  return new Date(Number(microseconds(timestamp) / 1000n))
}

/** Since 1970, of a timestamp as reads give it: 2026-11-22T10:00:00.123456+00:00. */
function microseconds(timestamp: string): bigint {
  const parts = /^([^T ]+)[T ]([\d:]+)(?:\.(\d{1,6}))?([+-]\d\d)(?::(\d\d))?$/.exec(timestamp)
  if (parts === null) throw new RangeError(`"${timestamp}" is no timestamp as Postgres prints it`)
  const [, day, time, fraction = '', hours, minutes = '00'] = parts
  const seconds = Date.parse(`${day}T${time}${hours}:${minutes}`) / 1000
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
}
