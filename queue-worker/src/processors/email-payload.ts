/** What a message of the e-mail queue may say. The reference for people is docs/processors/email.md. */
import { z } from 'zod'
import { type Attachment, recipientsOf } from '../services/email-message.ts'
import { dropNulls } from '../utils/drop-nulls.ts'
import { type Address, parseAddresses } from '../utils/email-address.ts'
import { rawAttachment, readAttachments } from './email-attachments.ts'

/** RFC 5321 makes servers take 100 recipients; more than that many refuse, and the record of each is kept. */
const MAX_RECIPIENTS = 100

/** A payload after validation, aliases resolved. */
export type EmailPayload = {
  readonly to: readonly Address[]
  readonly cc: readonly Address[]
  readonly bcc: readonly Address[]
  readonly replyTo: readonly Address[]
  readonly from: Address | undefined
  readonly subject: string | undefined
  readonly text: string | undefined
  readonly html: string | undefined
  readonly template: string | undefined
  readonly variables: Readonly<Record<string, unknown>>
  readonly attachments: readonly Attachment[]
  readonly headers: Readonly<Record<string, string>>
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not get through.
const CONTROL = /[\x00-\x1f\x7f]/
const RESERVED =
  /^(from|to|cc|bcc|sender|reply-to|subject|date|message-id|mime-version|received|return-path|dkim-signature|content-.*|resent-.*|arc-.*)$/i

const addressList = z
  .union([z.string(), z.array(z.string())], {
    error: 'give an address or a list of addresses, as "a@b.example" or "Name <a@b.example>"',
  })
  .transform((given, context): Address[] => {
    const found: Address[] = []
    for (const text of typeof given === 'string' ? [given] : given) {
      const parsed = parseAddresses(text)
      if (parsed.problem === undefined) found.push(...parsed.addresses)
      else context.addIssue({ code: 'custom', message: parsed.problem })
    }
    if (given.length === 0) context.addIssue({ code: 'custom', message: 'the list is empty' })
    return found
  })

const oneLine = (what: string) =>
  z
    .string({ error: `${what} must be a string` })
    .max(900, `${what} is longer than 900 characters`)
    .refine((text) => !CONTROL.test(text), `${what} must not contain line breaks or control characters`)

const headers = z
  .record(z.string(), oneLine('a header'), { error: 'give headers as an object of strings' })
  .superRefine((map, context) => {
    for (const name of Object.keys(map)) {
      const bad = !/^[A-Za-z0-9-]{1,76}$/.test(name)
        ? 'is not a header name: use letters, digits and hyphens'
        : RESERVED.test(name)
          ? 'cannot be set here: it follows from the other keys or is the worker’s own'
          : null
      if (bad !== null)
        context.addIssue({ code: 'custom', path: [name], message: `${JSON.stringify(name)} ${bad}` })
    }
  })

/** What a mail says is between its sender and its readers: it may hold a link that logs in. */
const hidden = <Schema extends z.ZodType>(schema: Schema): Schema => schema.meta({ sensitive: true })

const text = (what: string) => z.string({ error: `${what} must be a string` })

const fields = {
  to: addressList,
  cc: addressList.optional(),
  bcc: addressList.optional(),
  reply_to: addressList.optional(),
  replyTo: addressList.optional(),
  from: addressList.optional(),
  subject: oneLine('the subject').optional(),
  text: hidden(text('text')).optional(),
  body: hidden(text('body')).optional(),
  html: hidden(text('html')).optional(),
  template: text('template').optional(),
  variables: hidden(z.record(z.string(), z.unknown(), { error: 'give variables as an object' })).optional(),
  attachments: z.array(rawAttachment, { error: 'give attachments as a list' }).optional(),
  headers: headers.optional(),
}
const known = Object.keys(fields).join(', ')
const raw = z.strictObject(fields, {
  error: (issue) => {
    if (issue.code === 'unrecognized_keys') {
      return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; known are: ${known}`
    }
    return 'an e-mail message is a JSON object such as {"to": "a@b.example", "subject": "…", "text": "…"}'
  },
})
type Raw = z.infer<typeof raw>

/**
 * The schema of the e-mail queue. `maxAttachmentBytes` bounds all attachments of a message together, decoded.
 * A key that is null counts as absent, because SQL's jsonb_build_object writes nulls.
 */
export function emailPayload(options: { maxAttachmentBytes: number }): z.ZodType<EmailPayload> {
  return z.preprocess(
    dropNulls,
    raw
      .superRefine((given, context) => {
        for (const message of contradictions(given)) context.addIssue({ code: 'custom', message })
      })
      .transform((given, context): EmailPayload => {
        const { attachments, problems } = readAttachments(given.attachments ?? [], options.maxAttachmentBytes)
        for (const problem of problems)
          context.addIssue({ code: 'custom', path: ['attachments'], message: problem })
        const { to, cc = [], bcc = [], subject, html, template, variables = {}, headers = {} } = given
        const replyTo = given.replyTo ?? given.reply_to ?? []
        const body = given.text ?? given.body
        return {
          to,
          cc,
          bcc,
          replyTo,
          from: given.from?.[0],
          subject,
          text: body,
          html,
          template,
          variables,
          attachments,
          headers,
        }
      }),
  )
}

/** What no single key can tell. */
function contradictions(given: Raw): string[] {
  const problems: string[] = []
  const content = Boolean(given.text || given.body || given.html)
  if (given.text !== undefined && given.body !== undefined) {
    problems.push('give text or body, not both: body is another name for text')
  }
  if (given.replyTo !== undefined && given.reply_to !== undefined) {
    problems.push('give replyTo or reply_to, not both')
  }
  if (given.template !== undefined && content) problems.push('give a template, or text and html, not both')
  if (given.template === undefined && !content)
    problems.push('there is nothing to send: give text, html or template')
  if (given.template === undefined && given.variables !== undefined)
    problems.push('variables need a template')
  if (given.template === undefined && !given.subject?.trim()) problems.push('the subject is missing')
  if ((given.from?.length ?? 1) > 1) problems.push('from takes one address')
  const recipients = recipientsOf({ to: given.to, cc: given.cc ?? [], bcc: given.bcc ?? [] })
  if (recipients.length > MAX_RECIPIENTS) {
    problems.push(
      `${recipients.length} recipients; one message takes at most ${MAX_RECIPIENTS}. Send one message per person`,
    )
  }
  return problems
}
