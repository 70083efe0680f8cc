/** Keeps the SMTP password out of errors: a server may echo what it was sent, also in the encodings of AUTH. */
import type { SmtpError } from './email-outage.ts'

/** Below this a password would match parts of ordinary words and tell more by what is missing. */
const SHORTEST_SECRET = 4

/** Gives a function that turns whatever the client threw into an error of plain fields without the password. */
export function withoutSecrets(
  user: string | undefined,
  pass: string | undefined,
): (thrown: unknown) => Error & SmtpError {
  const secrets = encodings(user ?? '', pass ?? '')
  const hide = (text: string) =>
    secrets.reduce((rest, secret) => rest.replaceAll(secret, '[password hidden]'), text)
  const read = (thrown: unknown): Error & SmtpError => {
    const fields: Record<string, unknown> = typeof thrown === 'object' && thrown !== null ? { ...thrown } : {}
    const text = (value: unknown) => (typeof value === 'string' ? hide(value) : undefined)
    const message = hide(thrown instanceof Error ? thrown.message : String(thrown))
    const rejected = fields.rejectedErrors
    return Object.assign(new Error(message), {
      code: text(fields.code),
      originalCode: text(fields.originalCode),
      timeoutType: text(fields.timeoutType),
      command: text(fields.command),
      response: text(fields.response),
      responseCode: typeof fields.responseCode === 'number' ? fields.responseCode : undefined,
      recipient: text(fields.recipient),
      rejectedErrors: Array.isArray(rejected) && rejected.length > 0 ? rejected.map(read) : undefined,
    })
  }
  return read
}

function encodings(user: string, pass: string): string[] {
  if (pass.length < SHORTEST_SECRET) return []
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const forms = [base64(`\0${user}\0${pass}`), base64(`${user}\0${user}\0${pass}`), base64(pass), pass]
  // Servers drop the padding or cut the line now and then; without it the rest still matches.
  return forms.map((form) => form.replace(/=+$/, '')).filter((form) => form !== '')
}
