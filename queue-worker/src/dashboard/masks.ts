/** The masks of all queues: each by its processor's schema, made when it is first needed. */
import { fieldsOf } from '../processors/sensitive.ts'
import type { Ground } from './asked.ts'
import { createMask, HIDDEN, type Mask } from './mask.ts'

const known = new WeakMap<object, Mask>()

/** Headers and results of steps have no schema: names must do. */
export const byName = createMask()

/** Null: this worker has no processor for the queue, so nothing says what is sensitive. */
export function maskOf({ processors }: Ground, queue: string): Mask | null {
  const payload = processors.find((one) => one.queue === queue)?.payload
  if (payload === undefined) return null
  const mask = known.get(payload) ?? createMask(fieldsOf(payload))
  known.set(payload, mask)
  return mask
}

/** Where nothing says what is sensitive, all is hidden. */
export function maskOrAll(ground: Ground, queue: string): Mask {
  return maskOf(ground, queue) ?? (() => HIDDEN)
}
