/** From a payload to the mail: fills templates, and checks that something to read came out. */
import { UnrecoverableError } from '../errors.ts'
import type { Mail } from '../services/email-message.ts'
import type { Templates } from '../services/templates.ts'
import type { EmailPayload } from './email-payload.ts'

/** Throws UnrecoverableError when the template cannot be filled or leaves no subject or no content. */
export async function composeMail(payload: EmailPayload, key: string, templates: Templates): Promise<Mail> {
  const { template, variables, subject: givenSubject, text: givenText, html: givenHtml, ...rest } = payload
  if (template === undefined) {
    return { ...rest, key, subject: givenSubject ?? '', text: givenText, html: givenHtml }
  }
  const filled = await templates.render(template, variables)
  const subject = givenSubject?.trim() || filled.subject
  if (!subject) {
    const remedy = `give the message a subject, or the template a file ${template}.subject.liquid`
    throw new UnrecoverableError(`The e-mail template "${template}" gave no subject: ${remedy}.`)
  }
  if (!filled.text?.trim() && !filled.html?.trim()) {
    const remedy = `it needs ${template}.text.liquid, ${template}.html.liquid or both`
    throw new UnrecoverableError(`The e-mail template "${template}" gave no content: ${remedy}.`)
  }
  return { ...rest, key, subject, text: filled.text, html: filled.html }
}
