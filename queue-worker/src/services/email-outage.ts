/** Why no session with the SMTP server came about, in words that tell a person what to do. */
import type { FailureKind } from '../errors.ts'
import { ServerOutageError } from './outage.ts'

/** The parts of a client error that matter here. Its texts must be free of secrets. */
export type SmtpError = {
  readonly message: string
  readonly code?: string | undefined
  readonly originalCode?: string | undefined
  readonly timeoutType?: string | undefined
  readonly command?: string | undefined
  readonly response?: string | undefined
  readonly responseCode?: number | undefined
  readonly recipient?: string | undefined
  /** When every recipient was refused: the error of each. */
  readonly rejectedErrors?: readonly SmtpError[] | undefined
}

/** The SMTP server cannot be used now. */
export class MailServerError extends ServerOutageError {
  override readonly name = 'MailServerError'
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const UNREACHABLE = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL'])
const WAIT = 'Mail waits and is tried again.'

type Finding = { readonly kind: FailureKind; readonly what: string; readonly remedy: string }

export function lostConnection(
  error: SmtpError,
  reply: string,
  target: string,
  options: ErrorOptions,
): MailServerError {
  const { kind, what, remedy } = find(error, reply, target)
  return new MailServerError(kind, what, remedy, options)
}

/** True for errors that only come before there is a session, also when a dropped one was being replaced. */
export function failedToConnect(error: SmtpError): boolean {
  if (error.timeoutType !== undefined) return error.timeoutType !== 'SOCKET_TIMEOUT'
  return (
    ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(error.originalCode ?? '') || error.code === 'EDNS'
  )
}

function find(error: SmtpError, reply: string, target: string): Finding {
  const cause = error.originalCode ?? error.code ?? ''
  const code = error.responseCode ?? 0
  if (cause === 'ENOTFOUND' || cause === 'EAI_AGAIN' || error.code === 'EDNS') {
    const what = `The name of the SMTP server ${target} could not be resolved (${reply}).`
    return { kind: 'dns', what, remedy: `Check SMTP_HOST and the DNS of this machine. ${WAIT}` }
  }
  if (cause === 'ECONNREFUSED') {
    const what = `The SMTP server ${target} refuses connections.`
    return { kind: 'refused', what, remedy: `Check SMTP_HOST and SMTP_PORT, and that it runs. ${WAIT}` }
  }
  const tls = findTls(cause, error, reply, target)
  if (tls !== null) return tls
  if (code >= 500) {
    const what = `The SMTP server ${target} does not talk to us: ${reply}.`
    const remedy = `Its operator may have blocked this machine's address, or this is not the port for submitting mail. ${WAIT}`
    return { kind: 'rejected', what, remedy }
  }
  if (code >= 400) {
    return {
      kind: 'unavailable',
      what: `The SMTP server ${target} is not available: ${reply}.`,
      remedy: WAIT,
    }
  }
  if (error.code === 'ETIMEDOUT' || cause === 'ETIMEDOUT' || UNREACHABLE.has(cause)) {
    const what = `The SMTP server ${target} did not answer in time (${reply}).`
    const remedy =
      'Many hosters block outgoing port 25, some also 465 and 587: try another port or ask the hoster. ' +
      `A server that wants TLS from the start (usually port 465) stays silent without SMTP_SECURE=true. ${WAIT}`
    return { kind: 'timeout', what, remedy }
  }
  return { kind: 'disconnected', what: `The SMTP server ${target} hung up (${reply}).`, remedy: WAIT }
}

function findTls(cause: string, error: SmtpError, reply: string, target: string): Finding | null {
  if (cause === 'CERT_HAS_EXPIRED' || cause === 'CERT_NOT_YET_VALID') {
    const what = `The certificate of the SMTP server ${target} is not valid at this time (${reply}).`
    const remedy = `Its operator must renew it (or this machine's clock is wrong). ${WAIT}`
    return { kind: 'certificate_expired', what, remedy }
  }
  if (UNTRUSTED.has(cause)) {
    const what = `The certificate of the SMTP server ${target} comes from an authority unknown here (${reply}).`
    const remedy = `If that authority is yours, name its certificate file in SMTP_CA_FILE. ${WAIT}`
    return { kind: 'untrusted_ca', what, remedy }
  }
  if (cause === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const what = `The certificate of the SMTP server ${target} is for another name (${reply}).`
    return { kind: 'tls', what, remedy: `Set SMTP_HOST to a name the certificate holds. ${WAIT}` }
  }
  if (error.command === 'STARTTLS') {
    const what = `The SMTP server ${target} does not offer STARTTLS, which is required (${reply}).`
    const remedy = `Use port 465 (SMTP_SECURE=true) if it has it; SMTP_REQUIRE_TLS=false allows plaintext, without login. ${WAIT}`
    return { kind: 'tls', what, remedy }
  }
  if (error.code === 'ETLS' || cause === 'EPROTO' || cause.startsWith('ERR_SSL') || /\bSSL\b/.test(reply)) {
    const what = `TLS with the SMTP server ${target} failed (${reply}).`
    const remedy = `SMTP_SECURE=true is for ports that speak TLS from the start (465), false for STARTTLS (587). ${WAIT}`
    return { kind: 'tls', what, remedy }
  }
  return null
}
