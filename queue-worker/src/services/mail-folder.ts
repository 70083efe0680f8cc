/** Mails that a mail server kept as files, as the one of the embedded stack does: listed by their heads, read one by one. */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SetupError } from '../errors.ts'

export type MailLine = {
  /** The name of its file. */
  readonly id: string
  readonly at: Date
  readonly from: string
  /** Whom the envelope named: those in Bcc as well. */
  readonly to: string
  readonly subject: string
  readonly bytes: number
}

export type MailFile = { readonly name: string; readonly type: string; readonly content: Buffer }

export type Mail = MailLine & {
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly text: string | null
  /** Pictures that came with it are in it, as data. */
  readonly html: string | null
  readonly attachments: readonly MailFile[]
  readonly raw: Buffer
}

export type MailPage = {
  readonly mails: readonly MailLine[]
  /** The id to go on before; null: that was the last page. */
  readonly next: string | null
}

export type MailFolder = {
  /** The newest first. `about`: those with this text in their heads, such as an origin key. */
  list(options: { limit: number; before?: string | undefined; about?: string | undefined }): Promise<MailPage>
  /** Null: there is none of this id. */
  read(id: string): Promise<Mail | null>
}

/** As the stack names them: when it came, and something to tell apart what came at once. */
const NAME = /^(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)-(\d{3}Z)-[0-9a-f]{8}\.eml$/
const HEAD_BYTES = 64 * 1024
/** Heads that one call looks at when it looks for something. */
const MOST_HEADS = 2000

export function openMailFolder(folder: string): MailFolder {
  return {
    async list({ limit, before, about }) {
      const names = (await namesIn(folder)).filter((name) => before === undefined || name < before)
      const mails: MailLine[] = []
      let last: string | undefined
      for (const name of names.slice(0, MOST_HEADS)) {
        if (mails.length === limit) break
        last = name
        const head = await readHead(join(folder, name))
        if (head !== null && (about === undefined || head.text.includes(about)))
          mails.push(await lineOf(name, head))
      }
      return { mails, next: last === undefined || last === names.at(-1) ? null : last }
    },
    async read(id) {
      if (!NAME.test(id)) return null
      const raw = await readFile(join(folder, id)).catch(ifThere)
      if (raw === null) return null
      const parsed = await parse(raw)
      const headers = parsed.headerLines.map(({ key, line }) => [nameOf(key, line), unfolded(line)] as const)
      return {
        ...(await lineOf(id, { text: raw.subarray(0, HEAD_BYTES).toString('latin1'), bytes: raw.length })),
        headers,
        text: parsed.text ?? null,
        html: parsed.html || null,
        attachments: parsed.attachments.map(({ filename, contentType, content }, index) => ({
          ...{ name: filename ?? `attachment-${index + 1}`, type: contentType, content },
        })),
        raw,
      }
    },
  }
}

async function namesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(ifThere)) ?? []
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .reverse()
}

type Head = { readonly text: string; readonly bytes: number }

async function readHead(path: string): Promise<Head | null> {
  const file = await open(path).catch(ifThere)
  if (file === null) return null
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
    const { size } = await file.stat()
    const text = buffer.toString('latin1', 0, bytesRead)
    return { text: /^[\s\S]*?\r?\n\r?\n/.exec(text)?.[0] ?? text, bytes: size }
  } finally {
    await file.close()
  }
}

async function lineOf(name: string, { text, bytes }: Head): Promise<MailLine> {
  const head = /^[\s\S]*?\r?\n\r?\n/.exec(text)?.[0] ?? text
  const { from, subject, headers } = await parse(Buffer.from(head, 'latin1'))
  const envelope = headers.get('x-envelope-to')
  const [, hour = '', minute = '', second = '', rest = ''] = NAME.exec(name) ?? []
  return {
    ...{ id: name, at: new Date(`${hour}:${minute}:${second}.${rest}`), bytes },
    ...{ from: from?.text ?? '', to: typeof envelope === 'string' ? envelope : '', subject: subject ?? '' },
  }
}

async function parse(content: Buffer) {
  const { simpleParser } = await import('mailparser').catch((cause: unknown) => {
    throw new SetupError(
      'reading mails needs the optional package mailparser, which is not installed',
      'Install with optional packages: npm install --include=optional',
      { cause },
    )
  })
  return simpleParser(content, { skipTextToHtml: true, skipTextLinks: true })
}

/** With the capitals it was written with. */
const nameOf = (key: string, line: string) => line.slice(0, key.length)
const unfolded = (line: string) =>
  line
    .slice(line.indexOf(':') + 1)
    .replace(/\r?\n[ \t]+/g, ' ')
    .trim()

/** For what was removed meanwhile. */
function ifThere(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
