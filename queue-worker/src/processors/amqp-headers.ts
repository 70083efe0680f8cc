/** The headers of an AMQP message: what the wire cannot carry is said here, not when it is published. */
import { z } from 'zod'

/** A table on the wire is at most some 2.25 times as long as its JSON, and the client has 64 kB for it. */
const MAX_JSON_BYTES = 16_384
const MAX_NAME_BYTES = 255

export const amqpHeaders = z
  .record(z.string(), z.unknown(), { error: 'give headers as an object' })
  .superRefine((map, context) => {
    const bytes = Buffer.byteLength(JSON.stringify(map))
    if (bytes > MAX_JSON_BYTES) {
      const message = `the headers have ${bytes} bytes as JSON, the limit is ${MAX_JSON_BYTES}. Put it into data`
      context.addIssue({ code: 'custom', message })
      return
    }
    for (const [name, value] of Object.entries(map)) {
      const message = problemOf(name, value) ?? routesProblem(name, value)
      if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message })
    }
  })
  .meta({
    description: `Strings, numbers, booleans, nulls, lists and objects, all together at most ${MAX_JSON_BYTES} bytes as JSON`,
  })

function problemOf(name: string, value: unknown): string | undefined {
  if (name === '') return 'a header needs a name'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    return `the name of a header is longer than ${MAX_NAME_BYTES} bytes`
  // The client would take an object with this key for a type of the wire and its value.
  if (name === '!') return 'a header cannot have the name "!"'
  if (typeof value === 'number' && !isCarried(value))
    return `${value} is too large a number for a header; give it as a string`
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const problem = problemOf(key, item)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Whole numbers go as 64 bits, others as doubles; the client tells them apart up to 2^50. */
function isCarried(value: number): boolean {
  return Number.isSafeInteger(value) || Math.abs(value) < 2 ** 50
}

/** RabbitMQ routes by these as well, and closes the channel on anything else in them. */
function routesProblem(name: string, value: unknown): string | undefined {
  if (name !== 'CC' && name !== 'BCC') return undefined
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
  return isList ? undefined : `${name} is a list of routing keys`
}
