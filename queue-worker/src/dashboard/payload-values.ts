/** What somebody typed into the fields of a message, as the message; and the other way round. Pure. */
import { coerceError } from '../errors.ts'
import type { Issue } from '../processors/issues.ts'
import type { Field } from './payload-fields.ts'

/** The name of a field in the form. */
export const inputOf = (name: string) => `f.${name}`
/** The field of a message that is written as JSON. */
export const WHOLE = 'message'

export type Typed = { readonly message: unknown; readonly issues: readonly Issue[] }

export function messageFrom(form: URLSearchParams, fields: readonly Field[]): Typed {
  const issues: Issue[] = []
  const entries = fields.flatMap((field): [string, unknown][] => {
    const text = unixLines(form.get(inputOf(field.name)) ?? '')
    if (field.kind === 'given') return [[field.name, field.options[0]]]
    if (text === '' && !(field.isRequired && (field.kind === 'text' || field.kind === 'lines'))) return []
    try {
      return [[field.name, typedValue(field, text)]]
    } catch (error) {
      issues.push({ field: field.name, reason: `is no JSON: ${coerceError(error).message}` })
      return []
    }
  })
  return { message: Object.fromEntries(entries), issues }
}

export function wholeFrom(form: URLSearchParams): Typed {
  const text = form.get(WHOLE) ?? ''
  try {
    return { message: JSON.parse(text), issues: [] }
  } catch (error) {
    return {
      message: undefined,
      issues: [{ field: WHOLE, reason: `is no JSON: ${coerceError(error).message}` }],
    }
  }
}

/** What the fields hold for a message, by the names of the form. */
export function typedFor(message: unknown, fields: readonly Field[]): URLSearchParams {
  const typed = new URLSearchParams()
  if (typeof message !== 'object' || message === null) return typed
  for (const { name, kind } of fields) {
    const value: unknown = Object.hasOwn(message, name) ? Reflect.get(message, name) : undefined
    if (value === undefined) continue
    const isText = typeof value === 'string' && kind !== 'json'
    typed.set(inputOf(name), isText ? value : JSON.stringify(value, null, kind === 'json' ? 2 : 0))
  }
  return typed
}

function typedValue({ kind, options, canBeList }: Field, text: string): unknown {
  if (kind === 'json') return JSON.parse(text)
  if (kind === 'yesno') return text === 'true'
  if (kind === 'choice') return options.find((one) => String(one) === text) ?? text
  // What is no number is left to the schema to tell.
  if (kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text
  return canBeList ? listOr(text) : text
}

function listOr(text: string): unknown {
  if (!text.trimStart().startsWith('[')) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Browsers send the lines of a text as they were sent by teleprinters. */
const unixLines = (text: string) => text.replaceAll('\r\n', '\n')
