/**
 * What an error of the SMTP client means: whose fault it is, and whether the mail may have been accepted.
 * Pure, so that every case stands in a table of the tests.
 */
import { UncertainEffectError, UnrecoverableError } from '../errors.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { addressKey } from '../utils/email-address.ts'
import { failedToConnect, lostConnection, MailServerError, type SmtpError } from './email-outage.ts'

/** How far a mail had got when the error came. */
export type MailStage =
  /** No session with the server yet: resolving, connecting, TLS, greeting, login. */
  | 'connecting'
  /** Sender, recipients or content were being sent; the server cannot have accepted the mail yet. */
  | 'sending'
  /** All of the content was given to the connection: without a reply nobody knows. */
  | 'handed_over'

/** One recipient the server did not take. `permanent`: it said so for good (5xx). */
export type Refusal = {
  readonly address: string
  readonly code: number
  readonly reply: string
  readonly permanent: boolean
}

/** Who got the mail, as far as this server is concerned, and who did not. */
export type SendResult = { readonly accepted: readonly string[]; readonly refused: readonly Refusal[] }

// Replies about the login, wherever in the session they come (RFC 4954): the settings are wrong, not the mail.
const LOGIN_CODES = new Set([530, 534, 535, 538])

/** The error to throw instead of the client's. `target` is host:port. */
export function mailFailure(error: SmtpError, stage: MailStage, target: string): Error {
  const options = { cause: error }
  const code = error.responseCode ?? 0
  const reply = cleanReply(error.response ?? error.message)
  const aboutTheMail = error.code === 'EENVELOPE' || error.code === 'EMESSAGE'

  if (error.code === 'EAUTH' || LOGIN_CODES.has(code)) return loginTrouble(code, reply, target, options)
  if (aboutTheMail && code === 0) {
    return new UnrecoverableError(`The mail cannot be sent through ${target}: ${reply}`, options)
  }
  if (aboutTheMail && code !== 421) {
    const what = `The SMTP server ${target} refused the mail at ${error.command ?? 'some point'}: ${reply}`
    return isPermanent(code) ? new UnrecoverableError(what, options) : new Error(what, options)
  }
  if (stage === 'handed_over' && !aboutTheMail) {
    const what = `The mail was given to ${target} whole, but its reply did not come (${reply}).`
    return new UncertainEffectError(`${what} Whether it was accepted is not known.`, options)
  }
  if (error.code === 'EABORT')
    return new Error('The send was aborted before the mail was given away.', options)
  if (stage === 'sending' && code !== 421 && !failedToConnect(error)) {
    return new Error(`The connection to ${target} broke before the mail was given away: ${reply}`, options)
  }
  return lostConnection(error, reply, target, options)
}

/** Splits the recipients by the errors the server gave for some of them. */
export function sortRecipients(recipients: readonly string[], errors: readonly SmtpError[]): SendResult {
  const refused = new Map<string, Refusal>()
  for (const error of errors) {
    const code = error.responseCode ?? 0
    const reply = cleanReply(error.response ?? error.message)
    const address = error.recipient ?? ''
    refused.set(addressKey(address), { address, code, reply, permanent: isPermanent(code, reply) })
  }
  const accepted = recipients.filter((address) => !refused.has(addressKey(address)))
  const named = recipients.flatMap((address) => {
    const refusal = refused.get(addressKey(address))
    return refusal === undefined ? [] : [{ ...refusal, address }]
  })
  return { accepted, refused: named }
}

/** True for a reply that the same mail would get again. */
export function isPermanent(code: number, reply = ''): boolean {
  // 503 is about the session's state; 552 "too many recipients" means: these ones later (RFC 5321 4.5.3.1.10).
  if (code === 503 || LOGIN_CODES.has(code) || (code === 552 && /too many recipients/i.test(reply)))
    return false
  return code >= 500 && code < 600
}

function loginTrouble(code: number, reply: string, target: string, options: ErrorOptions): Error {
  if (code >= 400 && code < 500) {
    const what = `The SMTP server ${target} cannot check logins at the moment: ${reply}.`
    return new MailServerError('unavailable', what, 'Wait; the mail is tried again.', options)
  }
  const remedy =
    'Check SMTP_USER and SMTP_PASS (many providers want an app password or an API key here) and that the port ' +
    'is the one for submitting mail (587 or 465). A server that wants TLS first, on this machine, needs ' +
    'SMTP_REQUIRE_TLS=true. Mail waits until the login works.'
  return new MailServerError(
    'login',
    `The SMTP server ${target} refused the login: ${reply}.`,
    remedy,
    options,
  )
}
