/** A mail as the mailer takes it, and its form for the SMTP client. */
import { createHash } from 'node:crypto'
import { type Address, addressKey, domainOf } from '../utils/email-address.ts'

export type Attachment = {
  readonly filename: string
  readonly content: Buffer
  readonly contentType?: string | undefined
  /** Lets the HTML show it: `<img src="cid:...">`. */
  readonly cid?: string | undefined
}

export type Mail = {
  /** Makes the Message-ID; the same key gives the same one. */
  readonly key: string
  /** Instead of the mailer's own sender. */
  readonly from?: Address | undefined
  readonly to: readonly Address[]
  readonly cc: readonly Address[]
  readonly bcc: readonly Address[]
  readonly replyTo: readonly Address[]
  readonly subject: string
  readonly text?: string | undefined
  readonly html?: string | undefined
  readonly attachments: readonly Attachment[]
  readonly headers: Readonly<Record<string, string>>
}

/** Every address the mail goes to, each mailbox once. */
export function recipientsOf(mail: Pick<Mail, 'to' | 'cc' | 'bcc'>): string[] {
  const unique = new Map<string, string>()
  for (const { address } of [...mail.to, ...mail.cc, ...mail.bcc]) {
    if (!unique.has(addressKey(address))) unique.set(addressKey(address), address)
  }
  return [...unique.values()]
}

/** `<key@domain of the sender>`; characters a Message-ID cannot hold are percent-encoded. */
export function messageIdFor(key: string, from: Address): string {
  const encoded = encodeURIComponent(key.toWellFormed())
    .replace(/[()]/g, (char) => (char === '(' ? '%28' : '%29'))
    .replace(/^\.|\.$|\.(?=\.)/g, '%2E')
  const usable = encoded !== '' && encoded.length <= 160
  return `<${usable ? encoded : createHash('sha256').update(key).digest('hex')}@${domainOf(from.address)}>`
}

/** The client's form of a mail for these recipients; the headers name all of To and Cc, and none of Bcc. */
export function composeFor(mail: Mail, sender: Address, recipients: readonly string[]) {
  const from = mail.from ?? sender
  return {
    envelope: { from: from.address, to: [...recipients] },
    messageId: messageIdFor(mail.key, from),
    from: { ...from },
    to: mail.to.map(copy),
    cc: mail.cc.map(copy),
    replyTo: mail.replyTo.map(copy),
    subject: mail.subject,
    headers: { ...mail.headers },
    attachments: mail.attachments.map(({ filename, content, contentType, cid }) => ({
      filename,
      content,
      ...(contentType === undefined ? {} : { contentType }),
      ...(cid === undefined ? {} : { cid, contentDisposition: 'inline' as const }),
    })),
    ...(mail.text === undefined ? {} : { text: mail.text }),
    ...(mail.html === undefined ? {} : { html: mail.html }),
    xMailer: false as const,
    // What a message says is content, never a file of this machine or an address to fetch.
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function copy({ name, address }: Address): { name: string; address: string } {
  return { name, address }
}
