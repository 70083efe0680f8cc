/** The processor of e-mails as the settings ask for it. */
import type { Config } from '../config.ts'
import { coerceError, SetupError } from '../errors.ts'
import { createMailer } from '../services/email.ts'
import { createTemplates, type Templates } from '../services/templates.ts'
import type { Logger } from '../utils/logger.ts'
import type { Processor } from './define.ts'
import { emailProcessor } from './email.ts'

/** EMAIL_TEMPLATES_DIR when it is not set. */
export const DEFAULT_TEMPLATES = 'templates'

/** @throws SetupError when the sender or the templates are missing. */
export async function email(config: Config, host: string, logger: Logger, queue: string): Promise<Processor> {
  const { from } = config.smtp
  if (from === undefined) {
    throw new SetupError(
      'SMTP_FROM is not set',
      'Set SMTP_FROM to the address mail is sent from: SMTP_FROM="Acme <no-reply@acme.com>"',
    )
  }
  const templates = await checkedTemplates(config.email.templatesDir)
  const mailer = createMailer(
    { ...config.smtp, host, from, connectTimeoutMs: config.connection.connectTimeoutMs },
    logger,
  )
  return emailProcessor({ ...config.email, queue, mailer, templates })
}

/** A folder that was asked for must be there; who needs no templates need not make the default one. */
async function checkedTemplates(folder: string): Promise<Templates> {
  const templates = createTemplates(folder)
  if (folder === DEFAULT_TEMPLATES) return templates
  await templates.list().catch((error: unknown) => {
    throw new SetupError(
      `EMAIL_TEMPLATES_DIR is set to a folder that cannot be used. ${coerceError(error).message}`,
      'Set EMAIL_TEMPLATES_DIR to the folder of the e-mail templates (a relative path starts where the worker is started), or unset it',
      { cause: error },
    )
  })
  return templates
}
