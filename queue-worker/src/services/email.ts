/** Sends mail over SMTP: the one place that knows nodemailer. One connection pool per mailer. */
import { createTransport } from 'nodemailer'
import type { Logger } from 'pino'
import type { Address } from '../utils/email-address.ts'
import { followAbort } from '../utils/follow-abort.ts'
import { type MailStage, mailFailure, type SendResult, sortRecipients } from './email-errors.ts'
import { composeFor, type Mail, recipientsOf } from './email-message.ts'
import { MailServerError } from './email-outage.ts'
import { withoutSecrets } from './email-secrets.ts'
import { decideSecurity, readSender } from './email-security.ts'
import { trustedAuthorities } from './network.ts'
import { outageLog } from './outage.ts'

export type MailerSettings = {
  readonly host: string
  readonly port: number
  /** Without a user there is no login. */
  readonly user?: string | undefined
  readonly pass?: string | undefined
  /** The sender of mails that name none: `a@b.example` or `Name <a@b.example>`. */
  readonly from: string
  /** TLS from the first byte; default: on port 465 only. */
  readonly secure?: boolean | undefined
  /** Refuse a session without TLS; default: unless the host is this machine. See docs/processors/email.md. */
  readonly requireTls?: boolean | undefined
  /** PEM file with further authorities to trust, beside the system's. */
  readonly caFile?: string | undefined
  /** From the name's lookup to the end of STARTTLS; default 30 000. */
  readonly connectTimeoutMs?: number | undefined
  /** Silence of the server after which a session is given up; default 240 000, below the time limit of a message. */
  readonly replyTimeoutMs?: number | undefined
  /** An abort that comes when the mail is already given away waits this long for the reply; default 5000. */
  readonly abortGraceMs?: number | undefined
  /** Connections open at once; default 5. More mails than that wait for a free one. */
  readonly poolSize?: number | undefined
}

export type SendOptions = {
  /** Only these of the mail's recipients. */
  readonly recipients?: readonly string[]
  readonly signal?: AbortSignal
}

export type Mailer = {
  readonly from: Address
  /** host:port, for logs. */
  readonly target: string
  /**
   * Resolves when the server took the mail for at least one recipient, or refused every recipient one by one.
   * Throws UnrecoverableError (mail refused for good), MailServerError (the server cannot be used now),
   * UncertainEffectError (the mail was given away, no reply came), Error (refused for now, connection lost).
   */
  send(mail: Mail, options?: SendOptions): Promise<SendResult>
  /** Connects and logs in, sends nothing. Throws MailServerError. */
  verify(): Promise<void>
  /** Ends idle connections now and busy ones when their mail is done. */
  close(): Promise<void>
}

/** Throws SetupError for settings that cannot work. Connects only when there is something to send. */
export function createMailer(settings: MailerSettings, log?: Pick<Logger, 'info' | 'error'>): Mailer {
  const from = readSender(settings.from)
  const target = `${settings.host}:${settings.port}`
  const clean = withoutSecrets(settings.user, settings.pass)
  const outage = outageLog({ field: 'smtp', name: 'SMTP server', target }, log)
  const connectTimeoutMs = settings.connectTimeoutMs ?? 30_000
  const security = decideSecurity(settings)
  const transport = createTransport({
    pool: true,
    host: settings.host,
    port: settings.port,
    secure: security.secure,
    requireTLS: security.requireTls,
    ignoreTLS: security.ignoreTls,
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the check off otherwise.
    tls: { rejectUnauthorized: true, ca: trustedAuthorities(settings.caFile, 'SMTP_CA_FILE') },
    // forceAuth: without it a server that offers no login would be used without one, and refuse the mail later.
    ...(settings.user ? { auth: { user: settings.user, pass: settings.pass ?? '' }, forceAuth: true } : {}),
    maxConnections: settings.poolSize ?? 5,
    maxRequeues: 2,
    idleTimeout: 30_000,
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    dnsTimeout: connectTimeoutMs,
    socketTimeout: settings.replyTimeoutMs ?? 240_000,
    socketCloseTimeout: 1000,
    logger: false,
  })
  const stages = new WeakMap<AbortSignal, MailStage>()
  // The client does not tell how far a mail got; reading the content, which starts after the server's 354, does.
  transport.use('stream', ({ message, data }, done) => {
    const signal = data.signal
    if (signal !== undefined) {
      const create = message.createReadStream.bind(message)
      message.createReadStream = (options) => {
        stages.set(signal, 'sending')
        return create(options).once('end', () => stages.set(signal, 'handed_over'))
      }
    }
    done()
  })

  return {
    from,
    target,
    async send(mail, { recipients = recipientsOf(mail), signal } = {}) {
      const abort = new AbortController()
      const stage = () => stages.get(abort.signal) ?? 'connecting'
      // Once the mail is given away its reply is worth waiting for: without it nobody knows.
      const graceMs = () => (stage() === 'handed_over' ? (settings.abortGraceMs ?? 5000) : 0)
      const unfollow = followAbort(abort, signal, graceMs)
      try {
        const message = { ...composeFor(mail, from, recipients), signal: abort.signal }
        const info = await transport.sendMail(message)
        outage.over()
        return sortRecipients(recipients, (info.rejectedErrors ?? []).map(clean))
      } catch (thrown) {
        const error = clean(thrown)
        const failure = mailFailure(error, stage(), target)
        if (error.rejectedErrors === undefined || failure instanceof MailServerError)
          throw outage.seen(failure)
        outage.over()
        return sortRecipients(recipients, error.rejectedErrors)
      } finally {
        unfollow()
      }
    },
    async verify() {
      try {
        await transport.verify()
        outage.over()
      } catch (thrown) {
        throw outage.seen(mailFailure(clean(thrown), 'connecting', target))
      }
    },
    async close() {
      transport.close()
    },
  }
}
