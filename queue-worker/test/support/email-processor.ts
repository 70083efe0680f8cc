/** The e-mail processor with a real mailer, fed one delivery at a time against an SMTP server of the test. */
import { join } from 'node:path'
import type { ProcessorContext } from '../../src/processors/define.ts'
import { type EmailProcessorOptions, emailProcessor } from '../../src/processors/email.ts'
import { createMailer } from '../../src/services/email.ts'
import { createTemplates } from '../../src/services/templates.ts'
import { createContext, createLedger, type Ledger } from './context.ts'
import { OBLIGING, startRawSmtp } from './smtp.ts'

/** Things to stop after a test. */
export type Cleanups = (() => Promise<unknown>)[]

/** A processor for this server, and a way to give it one delivery of a message. */
export function processorFor(cleanups: Cleanups, port: number, options: Partial<EmailProcessorOptions> = {}) {
  const processor = emailProcessor({
    mailer: createMailer({ host: '127.0.0.1', port, from: 'app@from.example', replyTimeoutMs: 2000 }),
    templates: createTemplates(join(import.meta.dirname, '../../../templates')),
    whenUncertain: 'resend',
    maxAttachmentBytes: 1_000_000,
    ...options,
  })
  cleanups.push(async () => processor.close?.())
  return async (payload: unknown, ledger: Ledger = createLedger(), given: Partial<ProcessorContext> = {}) => {
    const { context, logged } = createContext({ ledger, ...given })
    const parsed = processor.payload.parse(payload)
    try {
      return { result: await processor.process(parsed, context), error: undefined, logged }
    } catch (thrown) {
      return { result: undefined, error: thrown, logged }
    }
  }
}

/** A raw server with a verdict per recipient that the test may change while it runs. */
export async function verdictServer(cleanups: Cleanups, verdicts: Record<string, string>) {
  const raw = await startRawSmtp((command, content, socket) => {
    const name = /^RCPT TO:<(\w+)@/.exec(command)?.[1]
    return (name === undefined ? undefined : verdicts[name]) ?? OBLIGING(command, content, socket)
  })
  cleanups.push(raw.stop)
  const asked = (name: string) =>
    raw.commands.filter((command) => command.startsWith(`RCPT TO:<${name}@`)).length
  return { ...raw, verdicts, asked }
}

export const TO_THREE = {
  to: 'ann@to.example, ben@to.example',
  bcc: 'cy@to.example',
  subject: 'Hi',
  body: 'Hello',
}
