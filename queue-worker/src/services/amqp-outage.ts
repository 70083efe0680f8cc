/** Why the AMQP broker cannot be used now, in words that tell a person what to do. Pure. */
import type { FailureKind } from '../errors.ts'
import { ServerOutageError } from './outage.ts'

/** The AMQP broker cannot be used now. */
export class BrokerError extends ServerOutageError {
  override readonly name = 'BrokerError'
}

/** What the errors are about. */
export type BrokerTarget = {
  /** host:port */
  readonly name: string
  readonly user: string
  readonly vhost: string
}

const WAIT = 'Messages wait and are tried again.'

type Finding = { readonly kind: FailureKind; readonly what: string; readonly remedy: string }

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const SILENT = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL'])

/** The error to throw instead of the client's when no connection came about, or one was lost. */
export function brokerFailure(error: Error, target: BrokerTarget): BrokerError {
  const { kind, what, remedy } = find(error, target)
  return new BrokerError(kind, what, `${remedy} ${WAIT}`, { cause: error })
}

/** For a broker that takes no messages because it is short of something. */
export function blockedFailure(reason: string, { name }: BrokerTarget): BrokerError {
  const what = `The AMQP broker ${name} takes no messages at the moment (${oneLine(reason)}).`
  return new BrokerError('exhausted', what, `Give it memory or disk, or consume what it holds. ${WAIT}`)
}

/** For a broker that was asked for a channel and says nothing. */
export function slowFailure(limitMs: number, { name }: BrokerTarget): BrokerError {
  const what = `The AMQP broker ${name} did not answer within ${limitMs} ms.`
  return new BrokerError('timeout', what, `It may be overloaded, or the network is broken. ${WAIT}`)
}

function find(error: Error, target: BrokerTarget): Finding {
  const code = 'code' in error ? String(error.code) : ''
  const reply = oneLine(error.message)
  const broker = `The AMQP broker ${target.name}`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const what = `The name of the AMQP broker ${target.name} could not be resolved (${reply}).`
    return { kind: 'dns', what, remedy: 'Check the host in AMQP_URL and the DNS of this machine.' }
  }
  if (code === 'ECONNREFUSED') {
    const what = `${broker} refuses connections.`
    return { kind: 'refused', what, remedy: 'Check host and port in AMQP_URL, and that it runs.' }
  }
  if (SILENT.has(code)) {
    const what = `${broker} did not answer in time (${reply}).`
    const remedy =
      'Check host and port in AMQP_URL and firewalls in between. A port that speaks TLS (usually 5671) stays silent without amqps://.'
    return { kind: 'timeout', what, remedy }
  }
  return findTls(code, reply, broker) ?? findRefusal(reply, broker, target)
}

function findTls(code: string, reply: string, broker: string): Finding | undefined {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const what = `${broker} has a certificate that is not valid at this time (${reply}).`
    const remedy = "Its operator must renew it (or this machine's clock is wrong)."
    return { kind: 'certificate_expired', what, remedy }
  }
  if (UNTRUSTED.has(code)) {
    const what = `${broker} has a certificate of an authority unknown here (${reply}).`
    const remedy = 'If that authority is yours, name its certificate file in AMQP_CA_FILE.'
    return { kind: 'untrusted_ca', what, remedy }
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const what = `${broker} has a certificate for another name (${reply}).`
    return { kind: 'tls', what, remedy: 'Put a name that the certificate holds into AMQP_URL.' }
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || /\bSSL\b|before secure TLS/.test(reply)) {
    const what = `${broker} and this worker cannot agree on TLS (${reply}).`
    const remedy = 'amqps:// is for the port that speaks TLS (usually 5671), amqp:// for the other (5672).'
    return { kind: 'tls', what, remedy }
  }
  return undefined
}

/** What the broker said, or that it hung up. The client tells of a refused vhost without the broker's words. */
function findRefusal(reply: string, broker: string, { user, vhost }: BrokerTarget): Finding {
  if (/ACCESS.REFUSED|SASL mechanism/.test(reply)) {
    const what = `${broker} refused the login of ${user}: ${reply}.`
    const remedy = 'Check user and password in AMQP_URL; guest may log in from the broker’s own machine only.'
    return { kind: 'login', what, remedy }
  }
  if (/NOT.ALLOWED|got <ConnectionClose/.test(reply)) {
    const what = `${broker} refused ${user} the vhost "${vhost}": it does not exist, ${user} has no permission for it, or it has as many connections as it may have.`
    const remedy =
      'Check the vhost at the end of AMQP_URL (percent-encoded; / is %2F), and grant the permission: rabbitmqctl set_permissions.'
    return { kind: 'forbidden', what, remedy }
  }
  if (/Expected ConnectionStart|Invalid frame|Frame size|Unknown frame/.test(reply)) {
    const what = `${broker} does not speak AMQP 0-9-1 (${reply}).`
    const remedy = 'Check the port in AMQP_URL: usually 5672, with amqps:// 5671 (15672 is the web page).'
    return { kind: 'rejected', what, remedy }
  }
  if (/No channels left/.test(reply)) {
    const what = `${broker} allows no more channels on a connection.`
    return { kind: 'exhausted', what, remedy: 'Lower AMQP_CONCURRENCY, or raise channel_max of the broker.' }
  }
  const remedy = 'It may be starting or stopping, or want TLS: amqps://, usually port 5671.'
  return { kind: 'disconnected', what: `${broker} hung up (${reply}).`, remedy }
}

/** A broker's words as one printable line of at most 200 characters, fit for a log or an error. */
export function oneLine(text: string): string {
  const line = text
    .replace(/\p{C}+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
