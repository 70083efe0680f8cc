/** What `POST /api/queues/{queue}/messages` takes: one message or many, as the JSON of `queue_worker_send`. Pure. */
import { z } from 'zod'
import { coerceError } from '../errors.ts'
import { type Issue, tellIssues } from '../processors/issues.ts'
import type { Send } from '../queue/contract.ts'
import { checkSend } from '../queue/sends.ts'
import { MOMENT, parseMoment } from '../utils/duration.ts'

/** All of a request commit together. */
const MAX_MESSAGES = 500
const MAX_KEY = 255
/** pgmq takes seconds as an int. */
const MAX_DELAY_SECONDS = 2 ** 31 - 1

export type Asked = { readonly sends: readonly Send[] } | { readonly issues: readonly Issue[] }

const key = z.string().trim().min(1).max(MAX_KEY)

const item = z
  .strictObject({
    message: z
      .unknown()
      .refine((message) => message !== undefined, 'is missing: what the processor is given'),
    delay_seconds: z.number().min(0).max(MAX_DELAY_SECONDS).optional(),
    at: z
      .string()
      .transform((text, context) => {
        const at = parseMoment(text)
        if (at === null) context.addIssue({ code: 'custom', message: MOMENT })
        return at ?? undefined
      })
      .optional(),
    idempotency_key: key.optional(),
    origin_key: key.optional(),
    headers: z.record(z.string(), z.unknown()).optional(),
  })
  .refine((one) => one.at === undefined || one.delay_seconds === undefined, {
    message: 'give either at or delay_seconds, not both',
    path: ['at'],
  })

const many = z.strictObject({ messages: z.array(item).min(1).max(MAX_MESSAGES) })

type Item = z.output<typeof item>

/** `headerKey`: the header Idempotency-Key, which counts for the request as a whole. */
export function readEnqueueRequest(queue: string, body: unknown, headerKey: string | undefined): Asked {
  const isMany = typeof body === 'object' && body !== null && Object.hasOwn(body, 'messages')
  const read = isMany ? many.safeParse(body) : item.safeParse(body)
  if (!read.success) return { issues: tellIssues(read.error.issues, 'body').shown }
  const items: readonly Item[] = 'messages' in read.data ? read.data.messages : [read.data]
  const header = headerKey === undefined ? undefined : key.safeParse(unquoted(headerKey))
  if (header?.success === false) return { issues: tellIssues(header.error.issues, 'Idempotency-Key').shown }
  const sends: Send[] = []
  const issues: Issue[] = []
  for (const [index, one] of items.entries()) {
    const whole = isMany && header !== undefined ? `${header.data}/${index}` : header?.data
    const place = isMany ? `messages.${index}.` : ''
    if (whole !== undefined && one.idempotency_key !== undefined && one.idempotency_key !== whole)
      issues.push({
        field: `${place}idempotency_key`,
        reason: 'differs from the header Idempotency-Key; give one of them',
      })
    try {
      sends.push(checkSend(sendOf(queue, one, whole)))
    } catch (error) {
      issues.push({ field: `${place}message`, reason: coerceError(error).message })
    }
  }
  return issues.length > 0 ? { issues } : { sends }
}

function sendOf(queue: string, one: Item, wholeKey: string | undefined): Send {
  const idempotencyKey = one.idempotency_key ?? wholeKey
  return {
    queue,
    message: one.message,
    ...(one.delay_seconds === undefined ? {} : { delaySeconds: one.delay_seconds }),
    ...(one.at === undefined ? {} : { at: one.at }),
    ...(one.headers === undefined ? {} : { headers: one.headers }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(one.origin_key === undefined ? {} : { originKey: one.origin_key }),
  }
}

/** The drafts of the header's standard have it in quotes, most APIs do not. */
function unquoted(text: string): string {
  return /^"(.*)"$/.exec(text)?.[1] ?? text
}
