/** What a mail server that cannot be used does to a mailer: the same trouble for a mail and for a check. */
import { expect } from 'vitest'
import type { Mailer } from '../../src/services/email.ts'
import { MailServerError } from '../../src/services/email-outage.ts'
import { aMail } from './mail.ts'

export async function troubleOf(made: Mailer): Promise<MailServerError> {
  const error = await made.send(aMail()).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(MailServerError)
  const verified = await made.verify().catch((thrown: unknown) => thrown)
  expect(verified).toBeInstanceOf(MailServerError)
  if (!(error instanceof MailServerError) || !(verified instanceof MailServerError)) throw error
  expect(verified.kind).toBe(error.kind)
  return error
}
