/** Whether the mail server lets us in. Sends a mail only when asked to. */
import { randomUUID } from 'node:crypto'
import { coerceError } from '../../errors.ts'
import { createMailer } from '../../services/email.ts'
import type { Mail } from '../../services/email-message.ts'
import { ServerOutageError } from '../../services/outage.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const mail = defineCheck({
  name: 'mail',
  group: 'Other systems',
  limitMs: 30_000,
  catalog: {
    mail_ok: { severity: 'ok', why: '' },
    mail_sent: { severity: 'ok', why: '' },
    mail_login_refused: { severity: 'error', why: 'E-mails wait in their queue until the login works.' },
    mail_unreachable: { severity: 'error', why: 'E-mails wait in their queue until the server can be used.' },
    mail_refused: { severity: 'error', why: 'E-mails from this sender may all be refused.' },
    mail_not_configured: { severity: 'warning', why: 'There is nothing to send a mail with.' },
  },
  async run({ config, sendMailTo }: Parts, tell) {
    const { host, from, ...smtp } = config.smtp
    if (host === undefined || from === undefined) {
      if (sendMailTo === undefined) return []
      return [
        tell(
          'mail_not_configured',
          'a mail was asked for, but SMTP_HOST or SMTP_FROM is not set',
          'Set both.',
        ),
      ]
    }
    const { connectTimeoutMs } = config.connection
    const mailer = createMailer({ ...smtp, host, from, connectTimeoutMs, replyTimeoutMs: 15_000 })
    const login = smtp.user === undefined ? 'without login' : `as ${smtp.user}`
    try {
      await mailer.verify()
      const ok = tell('mail_ok', `${mailer.target} lets us in ${login}`)
      if (sendMailTo === undefined) return [ok]
      const { refused } = await mailer.send(composed(sendMailTo))
      const [refusal] = refused
      if (refusal === undefined)
        return [ok, tell('mail_sent', `${mailer.target} took a mail to ${sendMailTo}`)]
      const what = `${mailer.target} refused a mail to ${sendMailTo}: ${refusal.reply}`
      return [ok, tell('mail_refused', what, 'Check SMTP_FROM and that address; the reply says which.')]
    } catch (thrown) {
      const error = coerceError(thrown)
      if (!(error instanceof ServerOutageError))
        return [tell('mail_refused', error.message, 'Check SMTP_FROM; the reply of the server says why.')]
      const id = error.kind === 'login' ? 'mail_login_refused' : 'mail_unreachable'
      return [tell(id, whatOf(error), error.remedy)]
    } finally {
      await mailer.close()
    }
  },
})

function composed(address: string): Mail {
  return {
    key: `doctor-${randomUUID()}`,
    to: [{ name: '', address }],
    cc: [],
    bcc: [],
    replyTo: [],
    subject: 'queue-worker doctor',
    text: 'This mail was sent with the settings of your queue-worker, because its doctor was asked to.',
    attachments: [],
    headers: {},
  }
}

/** Its message has the remedy at its end. */
function whatOf({ message, remedy }: ServerOutageError): string {
  return message.replace(remedy, '').trim()
}
