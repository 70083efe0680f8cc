/** Attachments as a message gives them: their content inside it, as text or as base64. */
import { z } from 'zod'
import type { Attachment } from '../services/email-message.ts'
import { dropNulls } from '../utils/drop-nulls.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not get through.
const CONTROL = /[\x00-\x1f\x7f]/
const TYPE = /^[\w!#$&^.+-]{1,60}\/[\w!#$&^.+-]{1,100}(; *[\w-]+=("[^"\r\n]*"|[\w.-]+))*$/
const known = 'filename, content, contentBase64, contentType, cid'

const fields = z.strictObject(
  {
    filename: z
      .string({ error: 'an attachment needs a filename' })
      .min(1, 'an attachment needs a filename')
      .max(200, 'a filename is longer than 200 characters')
      .refine((name) => !CONTROL.test(name), 'a filename must not contain line breaks or control characters'),
    content: z
      .string({ error: 'content is text; give other data as contentBase64' })
      .meta({ sensitive: true })
      .optional(),
    contentBase64: z.string({ error: 'contentBase64 must be a string' }).meta({ sensitive: true }).optional(),
    content_base64: z
      .string({ error: 'content_base64 must be a string' })
      .meta({ sensitive: true })
      .optional(),
    contentType: z.string().regex(TYPE, 'contentType must look like "application/pdf"').optional(),
    content_type: z.string().regex(TYPE, 'content_type must look like "application/pdf"').optional(),
    cid: z
      .string()
      .regex(/^[\w.@+-]{1,200}$/, 'a cid holds letters, digits and . _ - + @ only')
      .optional(),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} in an attachment; known are: ${known}. Files and addresses are not fetched`
        : `an attachment is an object with ${known}`,
  },
)
export const rawAttachment = z.preprocess(dropNulls, fields)
type Raw = z.infer<typeof fields>

/** Decodes them and adds up their sizes; `problems` are sentences for the writer of the message. */
export function readAttachments(
  given: readonly Raw[],
  maxBytes: number,
): { attachments: Attachment[]; problems: string[] } {
  const problems: string[] = []
  const attachments: Attachment[] = []
  for (const each of given) {
    const content = readContent(each)
    if (typeof content === 'string') problems.push(`${JSON.stringify(each.filename)}: ${content}`)
    else {
      const { filename, cid } = each
      attachments.push({ filename, content, contentType: each.contentType ?? each.content_type, cid })
    }
  }
  const bytes = attachments.reduce((sum, { content }) => sum + content.length, 0)
  if (bytes > maxBytes) {
    problems.push(
      `${bytes} bytes of attachments, the limit is ${maxBytes} (EMAIL_MAX_ATTACHMENT_BYTES). Send a link instead`,
    )
  }
  return { attachments, problems }
}

/** The bytes, or what is wrong. */
function readContent(given: Raw): Buffer | string {
  const base64 = given.contentBase64 ?? given.content_base64
  if ((given.content === undefined) === (base64 === undefined)) {
    return 'give either content (text) or contentBase64'
  }
  if (base64 === undefined) return Buffer.from(given.content ?? '')
  // Postgres' encode(data, 'base64') breaks its lines.
  const compact = base64.replace(/\s+/g, '')
  const sound = compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact)
  return sound ? Buffer.from(compact, 'base64') : 'contentBase64 is not base64'
}
