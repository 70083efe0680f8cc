/** `send`: puts one message into a queue. */
import { SetupError } from '../errors.ts'
import type { SendOptions } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import { seconds } from './duration.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { openTransport, setUp } from './setup.ts'

export type SendFlags = { delay?: string; at?: string; key?: string; headers?: string; json?: boolean }

export async function send(io: Io, queueName: string, text: string, flags: SendFlags): Promise<ExitCode> {
  const message = parse(text, 'the message')
  const options: SendOptions = {
    ...(flags.delay === undefined ? {} : { delaySeconds: seconds(flags.delay) }),
    ...(flags.at === undefined ? {} : { at: moment(flags.at) }),
    ...(flags.key === undefined ? {} : { idempotencyKey: flags.key }),
    ...(flags.headers === undefined ? {} : { headers: headersFrom(flags.headers) }),
  }
  const checked = checkSend({ ...options, queue: queueName, message })
  const { config, stack } = await setUp(io, { embedded: 'when-unset' })
  const queue = createQueue(openTransport(config))
  try {
    const [sent] = await queue.send([checked])
    if (sent === undefined) throw new Error('the database answered a send with nothing')
    io.out(
      flags.json
        ? JSON.stringify({ queue: queueName, msg_id: sent.msgId, duplicate: sent.duplicate })
        : `${sent.duplicate ? 'was sent before with this key' : 'sent'}: message ${sent.msgId} of ${queueName}`,
    )
    return EXIT.ok
  } finally {
    await queue.close()
    await stack?.stop()
  }
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SetupError(
      `${what} is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      `Quote it for your shell, for example: npx queue-worker send email_queue '{"to": "you@example.com", "subject": "Hi", "text": "Hi"}'`,
    )
  }
}

function headersFrom(text: string): Record<string, unknown> {
  const value = parse(text, '--headers')
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RangeError('--headers takes a JSON object')
  }
  return { ...value }
}

function moment(text: string): Date {
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) {
    throw new RangeError(`--at ${text}: give a time like 2026-12-01T09:00:00Z`)
  }
  return date
}
