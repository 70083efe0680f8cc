import { domainToASCII } from 'node:url'

/** A mailbox: `name` is empty when none was given, `address` has its domain in ASCII and lower case. */
export type Address = { readonly name: string; readonly address: string }

export type ParsedAddresses =
  | { readonly addresses: readonly Address[]; readonly problem?: never }
  | { readonly problem: string }

// What an unquoted local part may hold (RFC 5322 dot-atom, and RFC 6532 letters beyond ASCII).
const LOCAL_PART = /^[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+)*$/u
const DOMAIN_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not get through.
const CONTROL = /[\x00-\x1f\x7f]/

/**
 * Reads `a@b.example`, `Name <a@b.example>`, `"Name, with comma" <a@b.example>` and lists of these separated by
 * commas. Answers with a problem, in words for the writer of the message, instead of throwing.
 */
export function parseAddresses(text: string): ParsedAddresses {
  if (CONTROL.test(text)) return { problem: 'an address must not contain line breaks or control characters' }
  const addresses: Address[] = []
  for (const part of splitList(text)) {
    const address = parseOne(part)
    if (address === null) return { problem: `${quote(part)} is not an e-mail address` }
    addresses.push(address)
  }
  if (addresses.length === 0) return { problem: 'no e-mail address given' }
  return { addresses }
}

/** How addresses are compared: mailboxes that differ only in case are one mailbox everywhere that matters. */
export function addressKey(address: string): string {
  const at = address.lastIndexOf('@')
  return `${address.slice(0, at)}@${toAsciiDomain(address.slice(at + 1))}`.toLowerCase()
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}

function splitList(text: string): string[] {
  const parts: string[] = []
  let part = ''
  let quoted = false
  let escaped = false
  for (const char of text) {
    if (char === ',' && !quoted) {
      parts.push(part)
      part = ''
      continue
    }
    if (char === '"' && !escaped) quoted = !quoted
    escaped = char === '\\' && !escaped
    part += char
  }
  parts.push(part)
  return parts.map((each) => each.trim()).filter((each) => each !== '')
}

function parseOne(part: string): Address | null {
  const open = part.endsWith('>') ? part.lastIndexOf('<') : -1
  const name = open >= 0 ? unquote(part.slice(0, open).trim()) : ''
  const address = open >= 0 ? part.slice(open + 1, -1).trim() : part
  const at = address.lastIndexOf('@')
  const local = address.slice(0, Math.max(at, 0))
  const domain = toAsciiDomain(address.slice(at + 1))
  if (at < 1 || Buffer.byteLength(local) > 64 || !LOCAL_PART.test(local)) return null
  if (domain.length > 253 || !domain.split('.').every((label) => DOMAIN_LABEL.test(label))) return null
  return { name, address: `${local}@${domain}` }
}

function toAsciiDomain(domain: string): string {
  return domainToASCII(domain).toLowerCase()
}

function unquote(name: string): string {
  if (name.length < 2 || !name.startsWith('"') || !name.endsWith('"')) return name
  return name.slice(1, -1).replace(/\\(.)/g, '$1')
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
