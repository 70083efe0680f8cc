/** `send`: puts one message into a queue. */
import { coerceError } from '../errors.ts'
import type { Send } from '../queue/contract.ts'
import { checkSend } from '../queue/sends.ts'
import { MOMENT, parseMoment } from '../utils/duration.ts'
import { EXIT, type ExitCode, type Io, UsageError } from './io.ts'
import { withQueue } from './with-queue.ts'

export type SendFlags = {
  /** Seconds. */
  delay?: number
  at?: string
  key?: string
  headers?: string
  json?: boolean
}

const EXAMPLE = `npx queue-worker send email_queue '{"to": "you@example.com", "subject": "Hi", "text": "Hi"}'`

export async function send(io: Io, queueName: string, text: string, flags: SendFlags): Promise<ExitCode> {
  const message = toSend(queueName, text, flags)
  const [sent] = await withQueue(io, (queue) => queue.send([message]))
  if (sent === undefined) throw new Error('the database answered a send with nothing')
  io.out(
    flags.json
      ? JSON.stringify({ queue: queueName, msg_id: sent.msgId, duplicate: sent.duplicate })
      : `${sent.duplicate ? 'nothing new was sent, the key was used before:' : 'sent:'} message ${sent.msgId} of ${queueName}`,
  )
  return EXIT.ok
}

/** Everything that can be wrong with what was typed is found before anything is connected. */
function toSend(queue: string, text: string, flags: SendFlags): Send {
  const { delay, at, key, headers } = flags
  if (delay !== undefined && at !== undefined) throw new UsageError('give either --delay or --at, not both')
  if (key !== undefined && key.trim() === '') throw new UsageError('--key is empty')
  const send: Send = {
    queue,
    message: parseJson(text, `the message is not JSON`, `quote it for your shell, for example: ${EXAMPLE}`),
    ...(delay === undefined ? {} : { delaySeconds: delay }),
    ...(at === undefined ? {} : { at: atTime(at) }),
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(headers === undefined ? {} : { headers: headersFrom(headers) }),
  }
  try {
    return checkSend(send)
  } catch (error) {
    throw new UsageError(coerceError(error).message, { cause: error })
  }
}

/** @throws UsageError that says what is wrong and how to write it. */
export function parseJson(text: string, what: string, how: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${what} (${coerceError(error).message}); ${how}`)
  }
}

export function headersFrom(text: string): Record<string, unknown> {
  const how = `give an object, for example: --headers '{"trace": "abc"}'`
  const value = parseJson(text, '--headers is not JSON', how)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`--headers is not a JSON object; ${how}`)
  }
  return { ...value }
}

function atTime(text: string): Date {
  const at = parseMoment(text)
  if (at === null) throw new UsageError(`--at ${text}: ${MOMENT}`)
  return at
}
