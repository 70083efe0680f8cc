/**
 * The kinds of settings: each turns the text of a variable into a value, or says what is wrong and what is
 * allowed. A message never repeats a text it could not read, since that may be a secret in the wrong place.
 */
import { z } from 'zod'
import { parseRateLimit, RATE_LIMIT_FORM, type RateLimit } from '../utils/rate-limit.ts'
import { type AmqpAddress, parseAmqpUrl } from './amqp-url.ts'

export type Field<T> = z.ZodType<T, string>

type Wrong = { readonly wrong: string }

/** Entries separated by commas or spaces, each once. */
export const words = (text: string) => [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))]

/** A kind of setting, by what reads its text without the spaces at its ends. */
export function field<T>(read: (text: string) => T | Wrong): Field<T> {
  return z.string().transform((text, context): T => {
    const value = read(text.trim())
    if (!isWrong(value)) return value
    context.addIssue({ code: 'custom', message: value.wrong })
    return z.NEVER
  })
}

function isWrong(value: unknown): value is Wrong {
  return typeof value === 'object' && value !== null && 'wrong' in value
}

/** A whole number between two bounds, both allowed. */
export function integer(min: number, max: number): Field<number> {
  const allowed = `allowed: a whole number from ${min} to ${max}`
  return field<number>((text) => {
    if (!/^[+-]?\d{1,15}$/.test(text)) return { wrong: `is not a whole number; ${allowed}` }
    return between(Number(text), min, max, allowed)
  })
}

/** A number between two bounds, both allowed; decimals are fine. */
export function decimal(min: number, max: number): Field<number> {
  const allowed = `allowed: a number from ${min} to ${max}`
  return field<number>((text) => {
    if (!/^[+-]?\d{1,15}(\.\d{1,6})?$/.test(text)) return { wrong: `is not a number; ${allowed}` }
    return between(Number(text), min, max, allowed)
  })
}

function between(value: number, min: number, max: number, allowed: string): number | Wrong {
  if (value < min) return { wrong: `is ${value}, which is too small; ${allowed}` }
  if (value > max) return { wrong: `is ${value}, which is too large; ${allowed}` }
  return value
}

const YES = new Set(['true', '1', 'yes', 'on'])
const NO = new Set(['false', '0', 'no', 'off'])

/** Yes or no, in the ways people write it. */
export function flag(): Field<boolean> {
  return field<boolean>((text) => {
    const word = text.toLowerCase()
    if (YES.has(word)) return true
    if (NO.has(word)) return false
    return { wrong: 'is neither yes nor no; allowed: on, off, true, false, yes, no, 1, 0' }
  })
}

/** One of a few words. */
export function choice<const T extends readonly string[]>(words: T): Field<T[number]> {
  return field<T[number]>((text) => {
    const word = words.find((known) => known === text.toLowerCase())
    return word ?? { wrong: `is not one of the words known; allowed: ${words.join(', ')}` }
  })
}

/** Any text. `exact` keeps spaces at its ends, as a password may have them. */
export function text(options: { exact?: boolean } = {}): Field<string> {
  return options.exact ? z.string() : field((given) => given)
}

/** A TCP port, or `off` for none. */
export function portOrOff(): Field<number | null> {
  const allowed = 'allowed: a port from 0 to 65535 (0 takes any free one), or off'
  return field<number | null>((text) => {
    if (NO.has(text.toLowerCase()) && text !== '0') return null
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) return { wrong: `is not a port; ${allowed}` }
    return Number(text)
  })
}

/** What pgmq accepts everywhere, with room for `_dlq`. */
export const QUEUE_NAME = /^[a-z0-9_-]{1,43}$/

/** Queue names separated by commas or spaces. */
export function queueNames(): Field<readonly string[]> {
  return field<readonly string[]>((text) => {
    const names = words(text)
    const bad = names.filter((name) => !QUEUE_NAME.test(name))
    const allowed = 'allowed: names of 1 to 43 characters out of a-z, 0-9, _ and -, separated by commas'
    return bad.length === 0
      ? names
      : { wrong: `has ${bad.length} name(s) that no queue can have; ${allowed}` }
  })
}

/** So many in a period: `100/1m`; null for `off`. */
export function rateLimit(): Field<RateLimit | null> {
  return field<RateLimit | null>((text) => {
    const limit = parseRateLimit(text)
    return limit === undefined ? { wrong: `is not a rate limit; allowed: ${RATE_LIMIT_FORM}` } : limit
  })
}

/** An e-mail address, alone or as `Name <address>`. */
export function mailbox(): Field<string> {
  return field<string>((text) => {
    const address = /<([^<>]*)>$/.exec(text)?.[1] ?? text
    if (/^[^\s@<>,;]+@[^\s@<>,;]+$/.test(address)) return text
    return { wrong: 'is not an e-mail address; allowed: me@example.com or My Name <me@example.com>' }
  })
}

/** The address of an AMQP broker. */
export function amqpUrl(): Field<AmqpAddress> {
  return field<AmqpAddress>(parseAmqpUrl)
}

/** Bearer tokens, separated by spaces or commas: two while one is being changed. */
export function tokens(): Field<readonly string[]> {
  const allowed =
    'allowed: 32 to 200 letters, digits and . _ ~ + / = -, for example the output of: openssl rand -hex 32'
  return field<readonly string[]>((text) => {
    const all = words(text)
    const isToken = (one: string) => /^[\w.~+/=-]{32,200}$/.test(one)
    return all.every(isToken) ? all : { wrong: `is too short or not a token; ${allowed}` }
  })
}
