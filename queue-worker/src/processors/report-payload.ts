/** What a message of the queue `reports` may say. The reference for people is docs/processors/reports.md. */
import { z } from 'zod'
import { FORMATS, type Format } from '../reports/job.ts'
import { parseAddresses } from '../utils/email-address.ts'

/** A payload after validation. A key that was null counts as absent, because SQL's jsonb_build_object writes nulls. */
export type ReportPayload = {
  readonly report: string
  readonly params: Readonly<Record<string, unknown>>
  readonly format: Format
  readonly title: string | undefined
  readonly timeZone: string | undefined
  readonly deliver: Delivery | undefined
}

export type Delivery = {
  readonly to: string | readonly string[]
  readonly cc: string | readonly string[] | undefined
  readonly subject: string | undefined
  readonly text: string | undefined
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not get through.
const CONTROL = /[\x00-\x1f\x7f]/
const oneLine = (what: string, max: number) =>
  z
    .string({ error: `${what} must be a string` })
    .max(max, `${what} is longer than ${max} characters`)
    .refine((text) => !CONTROL.test(text), `${what} must not contain line breaks or control characters`)

const addresses = z
  .union([z.string(), z.array(z.string()).min(1, 'the list is empty')], {
    error: 'give an address or a list of addresses, as "a@b.example" or "Name <a@b.example>"',
  })
  .superRefine((given, context) => {
    for (const text of typeof given === 'string' ? [given] : given) {
      const { problem } = parseAddresses(text)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    }
  })

const unknownKeys = (what: string, known: readonly string[]) => ({
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === 'unrecognized_keys'
      ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; known are: ${known.join(', ')}`
      : what,
})

const mail = {
  to: addresses,
  cc: addresses.nullish(),
  subject: oneLine('the subject', 900).nullish(),
  text: z
    .string({ error: 'text must be a string' })
    .max(100_000, 'text is too long')
    .meta({ sensitive: true })
    .nullish(),
}

const fields = {
  report: z
    .string({ error: 'report must be the name of a function in schema reports' })
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'report must be the name of a function in schema reports: a-z, 0-9, _'),
  params: z.record(z.string(), z.json(), { error: 'give params as an object' }).nullish(),
  format: z.enum(FORMATS, { error: `format must be one of ${FORMATS.join(', ')}` }),
  title: oneLine('the title', 200).nullish(),
  timeZone: oneLine('timeZone', 64).nullish(),
  time_zone: oneLine('time_zone', 64).nullish(),
  deliver: z
    .strictObject(mail, unknownKeys('deliver is an object such as {"to": "a@b.example"}', Object.keys(mail)))
    .nullish(),
}

/** The schema of the queue. */
export const reportPayload: z.ZodType<ReportPayload> = z
  .strictObject(
    fields,
    unknownKeys(
      'a report message is a JSON object such as {"report": "daily_volume", "format": "csv"}',
      Object.keys(fields),
    ),
  )
  .refine((given) => !(given.timeZone && given.time_zone), 'give timeZone or time_zone, not both')
  .transform(({ report, params, format, title, timeZone, time_zone, deliver }): ReportPayload => {
    const mail = deliver ?? undefined
    return {
      report,
      format,
      params: params ?? {},
      title: title?.trim() || undefined,
      timeZone: timeZone ?? time_zone ?? undefined,
      deliver: mail && {
        to: mail.to,
        cc: mail.cc ?? undefined,
        subject: mail.subject?.trim() || undefined,
        text: mail.text ?? undefined,
      },
    }
  })
