/** The processor of the e-mail queue. What it promises stands in docs/processors/email.md. */
import { UncertainEffectError, UnrecoverableError } from '../errors.ts'
import type { Mailer } from '../services/email.ts'
import type { Templates } from '../services/templates.ts'
import { defineProcessor, type Processor, type ProcessorContext } from './define.ts'
import { composeMail } from './email-compose.ts'
import { deliverMail } from './email-delivery.ts'
import { type EmailPayload, emailPayload } from './email-payload.ts'
import { FIVE_DAYS_SECONDS, unlessTooOld } from './server-wait.ts'

export type EmailProcessorOptions = {
  readonly mailer: Mailer
  readonly templates: Templates
  /** A mail of which nobody knows whether it was accepted: send it again, or hold it in the dead letters. */
  readonly whenUncertain: 'resend' | 'hold'
  /** All attachments of one message together, decoded. */
  readonly maxAttachmentBytes: number
  /** Default `email_queue`. */
  readonly queue?: string
  /** How long mail waits for an SMTP server that cannot be used; default 5 days, as mail servers do. */
  readonly giveUpAfterSeconds?: number
}

/** A server that takes mails and never answers would otherwise deliver one copy for every attempt. */
const MAX_UNCERTAIN_TRIES = 3

/** Closing the processor closes the mailer. */
export function emailProcessor(options: EmailProcessorOptions): Processor<EmailPayload> {
  const { mailer, templates, giveUpAfterSeconds = FIVE_DAYS_SECONDS } = options
  const uncertain = options.whenUncertain === 'resend' ? 'repeat' : 'hold'
  return defineProcessor({
    queue: options.queue ?? 'email_queue',
    payload: emailPayload({ maxAttachmentBytes: options.maxAttachmentBytes }),
    // A mailbox that is full or greylisted needs hours, not the seconds that suit other queues.
    maxAttempts: 12,
    backoff: { baseSeconds: 60, maxSeconds: 3600 },
    close: () => mailer.close(),
    async process(payload, context) {
      const mail = await composeMail(payload, context.originKey, templates)
      try {
        await deliverMail(mail, context, { mailer, uncertain })
      } catch (error) {
        if (error instanceof UncertainEffectError && uncertain === 'repeat') {
          if (context.signal.aborted || (await countUncertain(context))) throw error
          const held = `${error.message} Held after ${MAX_UNCERTAIN_TRIES} such tries, so as not to send copy after copy.`
          throw new UnrecoverableError(held, { cause: error })
        }
        throw unlessTooOld(error, context, giveUpAfterSeconds)
      }
    },
  })
}

/**
 * Counts in the ledger, one step for each, so that other failures, crashes and redrives neither add to it nor start it
 * anew; false when that was the last try.
 */
async function countUncertain({ once }: Pick<ProcessorContext, 'once'>): Promise<boolean> {
  for (let number = 1; number < MAX_UNCERTAIN_TRIES; number += 1) {
    let isNew = false
    const note = () => {
      isNew = true
    }
    await once(`uncertain-${number}`, note, { uncertain: 'repeat' })
    if (isNew) return true
  }
  return false
}
