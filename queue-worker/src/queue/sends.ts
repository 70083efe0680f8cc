/** Checks what is to be sent before it goes anywhere, so that the mistake is shown where it was made. */
import type { Send } from './contract.ts'

const QUEUE_NAME = /^[a-z0-9_-]{1,43}$/

export function isQueueName(name: string): boolean {
  return QUEUE_NAME.test(name)
}

/**
 * Returns the send with its message as plain JSON data; throws TypeError or RangeError for a bad queue name, for
 * what JSON or jsonb cannot hold (functions, cycles, NUL characters), or for contradictory times.
 */
export function checkSend(send: Send): Send {
  if (!isQueueName(send.queue)) {
    throw new RangeError(`"${send.queue}" is no queue name: use 1 to 43 of a-z, 0-9, _ and -`)
  }
  if (send.delaySeconds !== undefined && send.at !== undefined) {
    throw new RangeError('give a send either delaySeconds or at, not both')
  }
  if (send.delaySeconds !== undefined && !(Number.isFinite(send.delaySeconds) && send.delaySeconds >= 0)) {
    throw new RangeError(`delaySeconds ${send.delaySeconds}: give a number of seconds >= 0`)
  }
  if (send.at !== undefined && Number.isNaN(send.at.getTime())) throw new RangeError('at is not a valid date')
  return {
    ...send,
    ...(send.at === undefined ? {} : { at: new Date(send.at) }),
    message: plain(send.message, 'message'),
    ...headersOf(send),
  }
}

function headersOf(send: Send): Pick<Send, 'headers'> {
  if (send.headers === undefined) return {}
  const headers = plain(send.headers, 'headers')
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw new TypeError('the headers of a send must be an object')
  }
  return { headers: { ...headers } }
}

function plain(value: unknown, what: string): unknown {
  const json = stringify(value, what)
  if (json === undefined) throw new TypeError(`the ${what} of a send is no JSON value but ${typeof value}`)
  // jsonb refuses these; found in the database they would fail everything that is sent together.
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(json))
    throw new TypeError(`the ${what} of a send holds a NUL character, which jsonb cannot store`)
  if (/(?<!\\)(?:\\\\)*\\ud[89a-f]/i.test(json)) {
    throw new TypeError(`the ${what} of a send holds half of a surrogate pair, which jsonb cannot store`)
  }
  return JSON.parse(json)
}

function stringify(value: unknown, what: string): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    // The stack's end, told by V8 as such.
    if (error instanceof RangeError) throw new RangeError(`the ${what} of a send is nested too deeply`)
    throw error
  }
}
