/** The mail that brings a report, as a message of the e-mail queue. */
import { UnrecoverableError } from '../errors.ts'
import type { Delivery } from './report-payload.ts'

export type MailParts = {
  readonly delivery: Delivery
  readonly title: string
  readonly fileName: string
  readonly contentType: string
  readonly rows: number
  readonly bytes: number
  /** The content when it goes along; else a link, or where the file is. */
  readonly content: Buffer | null
  readonly link: string | null
  readonly linkSeconds: number
}

/** @throws UnrecoverableError when the file is too large to go along and there is no link to it. */
export function reportMail(parts: MailParts): Record<string, unknown> {
  const { delivery, title, fileName, content, link } = parts
  const said = delivery.text ?? title
  const facts = `${fileName}, ${parts.rows} ${parts.rows === 1 ? 'row' : 'rows'}, ${size(parts.bytes)}`
  if (content === null && link === null) {
    throw new UnrecoverableError(
      `The report is ${size(parts.bytes)}, too large to be attached (REPORTS_ATTACH_BYTES), and a folder has no links. ` +
        'Raise that limit, keep reports in a bucket (REPORTS_BUCKET), or ask for less; then redrive the message.',
    )
  }
  const where =
    content !== null
      ? `Attached: ${facts}`
      : `Download, for ${duration(parts.linkSeconds)}:\n${link}\n\n${facts}`
  return {
    to: delivery.to,
    ...(delivery.cc === undefined ? {} : { cc: delivery.cc }),
    subject: delivery.subject ?? title,
    text: `${said}\n\n${where}\n`,
    ...(content === null
      ? {}
      : {
          attachments: [
            { filename: fileName, contentBase64: content.toString('base64'), contentType: parts.contentType },
          ],
        }),
  }
}

/** "812 bytes", "14 kB", "3.2 MB". */
function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function duration(seconds: number): string {
  const hours = Math.max(1, Math.round(seconds / 3600))
  if (hours < 48) return hours === 1 ? 'an hour' : `${hours} hours`
  return `${Math.round(hours / 24)} days`
}
