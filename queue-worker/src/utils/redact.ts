/**
 * Removes secret values from text, in every form in which they may turn up there: as they are, escaped for
 * JSON (also JSON within JSON), percent-encoded, and inside base64. Pure.
 */

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]'

/** Shorter values are left alone: they would be found in every other word. */
const SHORTEST_SECRET = 4
/** A shorter piece of base64 turns up by chance. */
const SHORTEST_BASE64 = 6

export type Redactor = {
  /** Removes secrets from plain text. */
  text(text: string): string
  /** Removes secrets from a line of JSON and leaves it valid JSON. Costs one search where there are none. */
  line(json: string): string
}

export function createRedactor(secrets: readonly string[]): Redactor {
  const forms = [...new Set(secrets.filter((secret) => secret.length >= SHORTEST_SECRET).flatMap(formsOf))]
  if (forms.length === 0) return { text: (text) => text, line: (json) => json }

  // The longest first, so that a form within another does not leave the rest of it behind.
  const ordered = forms.sort((a, b) => b.length - a.length)
  const source = ordered.map((form) => form.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|')
  const one = new RegExp(source)
  const all = new RegExp(source, 'g')
  const text = (dirty: string) => dirty.replace(all, REDACTED)
  const line = (json: string) => {
    if (!one.test(json)) return json
    const clean = cleanJson(json, text)
    return clean !== undefined && !one.test(clean) ? clean : text(json)
  }
  return { text, line }
}

/** Cleans strings, keys and numbers one by one; undefined when it is not JSON. */
function cleanJson(json: string, clean: (text: string) => string): string | undefined {
  try {
    const end = json.endsWith('\n') ? '\n' : ''
    return JSON.stringify(walk(JSON.parse(json), clean)) + end
  } catch {
    return undefined
  }
}

function walk(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === 'string') return clean(value)
  if (typeof value === 'number') return clean(String(value)) === String(value) ? value : REDACTED
  if (Array.isArray(value)) return value.map((item) => walk(item, clean))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), walk(item, clean)]))
}

function formsOf(secret: string): string[] {
  const escaped = escapeJson(secret)
  const written = [secret, escaped, escapeJson(escaped), escapeJson(escapeJson(escaped))]
  return [...written, ...percentForms(secret), ...base64Forms(secret)]
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** As encodeURIComponent, URLs, forms and stricter encoders write it, in both cases of hexadecimal digits. */
function percentForms(secret: string): string[] {
  const component = encodeURIComponent(secret.toWellFormed())
  const strict = component.replace(/[!'()*~]/g, hex)
  const url = new URL('http://host')
  url.password = secret
  url.searchParams.set('q', secret)
  const forms = [component, strict, url.password, url.search.slice(3), encodeURI(secret.toWellFormed())]
  return forms.flatMap((form) => [form, form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())])
}

function hex(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

/**
 * The part of a base64 text that depends on the secret alone, for each of the three ways in which it can lie
 * within the encoded bytes; `Basic` credentials hold the password after the user's name, for example.
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8')
  const cores = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const first = Math.ceil((offset * 8) / 6)
    const end = Math.floor(((offset + bytes.length) * 8) / 6)
    return encoded.slice(first, end)
  })
  return cores
    .filter((core) => core.length >= SHORTEST_BASE64)
    .flatMap((core) => [core, core.replaceAll('+', '-').replaceAll('/', '_'), core.replaceAll('/', '\\/')])
}
