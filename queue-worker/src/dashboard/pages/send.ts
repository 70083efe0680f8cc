/** A test message: checked as its processor would, then sent, once however often its form is. */
import { randomUUID } from 'node:crypto'
import { coerceError } from '../../errors.ts'
import { createPayloadCheck } from '../../processors/check.ts'
import { EXAMPLES } from '../../processors/examples.ts'
import { type Issue, tellIssues } from '../../processors/issues.ts'
import { checkSend } from '../../queue/sends.ts'
import { parseSeconds } from '../../utils/duration.ts'
import type { Asked, Page, Reply } from '../asked.ts'
import { queueOf } from '../forms.ts'
import { html } from '../html.ts'
import { type Variant, variantsOf } from '../payload-fields.ts'
import { messageFrom, typedFor, WHOLE, wholeFrom } from '../payload-values.ts'
import { act, redirect } from './act.ts'
import { attempted } from './refusal.ts'
import { kindsOf, sendForm } from './send-form.ts'

const PATTERN = /^\/queues\/([^/]+)\/send$/
/** pgmq takes seconds as an int. */
const MAX_DELAY_SECONDS = 2 ** 31 - 1

export const sendFormPage: Page = {
  pattern: PATTERN,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const form = openForm(asked, asked.query.get('kind'))
    return formPage(asked, form, { typed: exampleFor(form), issues: [], key: randomUUID() })
  },
}

export const sendPage: Page = {
  pattern: PATTERN,
  method: 'POST',
  role: 'operator',
  async answer(asked) {
    const { form: typed } = asked
    const form = openForm(asked, typed.get('kind'))
    const { queue, variant } = form
    const key = typed.get('key') || randomUUID()
    const read = variant === null ? wholeFrom(typed) : messageFrom(typed, variant.fields)
    const delay = delayOf(typed.get('delay') ?? '')
    const unfit = read.issues.length > 0 ? [] : await issuesOf(asked, queue, read.message, variant === null)
    const issues = [...read.issues, ...unfit, ...(typeof delay === 'number' ? [] : [delay])]
    if (issues.length > 0 || typeof delay !== 'number')
      return { ...formPage(asked, form, { typed, issues, key }), status: 422 }
    const place = `/queues/${queue}/send`
    return attempted(asked, { at: place, back: place }, async () => {
      const send = { action: 'send', queue, message: read.message, idempotencyKey: key } as const
      const acted = await act(asked, { ...send, ...(delay > 0 ? { delaySeconds: delay } : {}) })
      const [msgId] = acted.msgIds
      return redirect(
        msgId === undefined ? `/queues/${queue}` : `/queues/${queue}/messages/${msgId}`,
        acted.auditId,
      )
    })
  },
}

type Form = {
  readonly queue: string
  readonly variant: Variant | null
  readonly variants: readonly Variant[]
}

function openForm({ found, ground }: Asked, kind: string | null): Form {
  const queue = queueOf(found)
  const processor = ground.processors.find((one) => one.queue === queue)
  const variants = processor === undefined ? [] : variantsOf(processor.payload)
  const [first = null] = variants
  const variant = kind === 'json' ? null : (variants.find(({ name }) => name === kind) ?? first)
  return { queue, variant, variants }
}

function exampleFor({ queue, variant }: Form): URLSearchParams {
  const example = Object.hasOwn(EXAMPLES, queue)
    ? Object.entries(EXAMPLES).find(([name]) => name === queue)?.[1]
    : undefined
  const message: unknown = JSON.parse(example ?? '{}')
  if (variant === null) return new URLSearchParams([[WHOLE, JSON.stringify(message, null, 2)]])
  const [given] = variant.fields.filter(({ kind }) => kind === 'given')
  const isOfAnother = given !== undefined && Reflect.get(Object(message), given.name) !== given.options[0]
  return isOfAnother ? new URLSearchParams() : typedFor(message, variant.fields)
}

type Filled = { readonly typed: URLSearchParams; readonly issues: readonly Issue[]; readonly key: string }

function formPage({ ground, visitor, base }: Asked, form: Form, filled: Filled): Reply & { kind: 'page' } {
  const { queue } = form
  const isServed = ground.processors.some((one) => one.queue === queue)
  const shown = { ...form, ...filled, visitor, base }
  const body = html`<div class="sheet"><h1>Send a test message to <a href="${base}/queues/${queue}">${queue}</a></h1>
<p>It is a real message: what its processor does with it, is done. ${isServed ? 'It is checked first, as the processor will.' : 'This worker has no processor for the queue, so that it cannot be checked first.'}</p>
${kindsOf(shown)}
${sendForm(shown)}</div>`
  return { kind: 'page', title: `Send to ${queue}`, body }
}

function delayOf(text: string): number | Issue {
  if (text.trim() === '') return 0
  const seconds = parseSeconds(text)
  if (seconds !== null && seconds <= MAX_DELAY_SECONDS) return seconds
  return { field: 'delay', reason: 'give a span, such as 30s, 5m, 2h or 1d' }
}

async function issuesOf(
  { ground }: Asked,
  queue: string,
  message: unknown,
  isWhole: boolean,
): Promise<readonly Issue[]> {
  const processor = ground.processors.find((one) => one.queue === queue)
  const told = (reason: string): Issue => ({ field: isWhole ? WHOLE : 'payload', reason })
  try {
    checkSend({ queue, message })
    if (processor === undefined) return []
    const { success, error } = await createPayloadCheck(processor.payload)(message)
    if (success) return []
    const { shown, more } = tellIssues(error.issues)
    const placed = isWhole
      ? shown.map(({ field, reason }) => told(field === 'payload' ? reason : `${field}: ${reason}`))
      : shown
    return more > 0 ? [...placed, told(`and ${more} more`)] : placed
  } catch (error) {
    return [told(`cannot be checked: ${coerceError(error).message}`)]
  }
}
