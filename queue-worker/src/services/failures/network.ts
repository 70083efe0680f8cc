/** Failures on the way to the server: names, ports, connections, certificates, time limits. */
import { addressSetting, codeOf, type FailureContext, type Verdict } from './verdict.ts'

/** Undefined when the error is not one of the network's. */
export function byNetwork(error: Error, context: FailureContext): Verdict | undefined {
  return byCode(codeOf(error), error, context) ?? byWords(error, context)
}

const CA_FILE =
  'If the server has a certificate of your own CA, put the path of that CA (PEM) into DATABASE_CA_FILE, or into NODE_EXTRA_CA_CERTS before Node starts. Otherwise somebody may be listening in: do not go on.'

const SUPABASE_CA =
  "Supabase's databases have certificates of Supabase's own CA: download it in the dashboard (Database > Settings > SSL configuration) and put its path into DATABASE_CA_FILE."

function byCode(code: string, error: Error, context: FailureContext): Verdict | undefined {
  const setting = addressSetting(context)
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_NONAME':
    case 'EAI_NODATA':
      return dns(`the name ${context.host} does not exist (DNS, ${code})`, context)
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'ESERVFAIL':
      return dns(`the name ${context.host} could not be looked up (DNS, ${code})`, context)
    case 'ECONNREFUSED':
      return {
        kind: 'refused',
        what: 'nothing accepts connections there (refused)',
        remedy: `Check that the server runs, and host and port in ${setting}.`,
        transient: true,
      }
    case 'ENOENT':
      return context.transport === 'postgres' && /connect/.test(error.message)
        ? {
            kind: 'refused',
            what: 'there is no such socket',
            remedy: `Check that the server runs, and the folder of its socket in ${setting}.`,
            transient: true,
          }
        : undefined
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
      return {
        kind: 'refused',
        what: `there is no route to it (${code})`,
        remedy:
          'If this machine has no IPv6: a direct Supabase address needs it; use the pooler (Connect > Session pooler), or try PREFER_IPV4=true.',
        transient: true,
      }
    case 'ETIMEDOUT':
    case 'ESOCKETTIMEDOUT':
    case 'CONNECT_TIMEOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return {
        kind: 'timeout',
        what: 'no connection was made within the time limit',
        remedy: `Check host and port in ${setting} and firewalls in between; CONNECT_TIMEOUT_MS is the limit.`,
        transient: true,
      }
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
    case 'REQUEST_TIMEOUT':
      return {
        kind: 'timeout',
        what: 'no answer came within the time limit',
        remedy: 'The server or the network is overloaded, or the connection hangs. It is tried again.',
        transient: true,
      }
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_UNTRUSTED':
    case 'CERT_SIGNATURE_FAILURE':
    case 'INVALID_CA':
      return {
        kind: 'untrusted_ca',
        what: `its certificate was not issued by a CA that is trusted here (${code})`,
        remedy: /\.supabase\.(co|com)$/.test(context.host) ? SUPABASE_CA : CA_FILE,
        transient: false,
      }
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return {
        kind: 'certificate_expired',
        what:
          code === 'CERT_HAS_EXPIRED' ? 'its certificate has expired' : 'its certificate is not valid yet',
        remedy: 'Renew the certificate of the server; if it is in order, set the clock of this machine.',
        transient: false,
      }
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        kind: 'tls',
        what: `its certificate belongs to another name than ${context.host}`,
        remedy: `Put the name that the certificate was issued for into ${setting}.`,
        transient: false,
      }
    case 'TLS_NOT_OFFERED':
      return {
        kind: 'tls',
        what: 'the server offers no TLS',
        remedy:
          'Turn TLS on in the server. Only if the network in between is yours: add ?sslmode=disable to DATABASE_URL.',
        transient: false,
      }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
    case 'CONNECTION_CLOSED':
    case 'CONNECTION_ENDED':
    case 'CONNECTION_DESTROYED':
    case 'UND_ERR_SOCKET':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return {
        kind: 'disconnected',
        what: `the connection was cut off (${code})`,
        remedy: 'The server restarted or the network broke. It is tried again.',
        transient: true,
      }
    default:
      return /^ERR_(SSL|TLS)_|^EPROTO$/.test(code)
        ? {
            kind: 'tls',
            what: `no encrypted connection could be agreed on (${code})`,
            remedy: `Check that ${setting} leads to the port that speaks TLS (http:// or https://, sslmode).`,
            transient: false,
          }
        : undefined
  }
}

function dns(what: string, context: FailureContext): Verdict {
  const supabase = /\.supabase\.(co|com|in|red)$/.test(context.host)
  const paused = supabase
    ? ' If the name is right, the project may be paused or deleted: look in the Supabase dashboard. A direct database address (db.<ref>) also has no IPv4 address: use the pooler then.'
    : ''
  return {
    kind: 'dns',
    what,
    remedy: `Check the host in ${addressSetting(context)} and this machine's network.${paused}`,
    transient: true,
  }
}

/** Errors that come without a code worth reading. */
function byWords(error: Error, context: FailureContext): Verdict | undefined {
  if (error.name === 'TimeoutError') return byCode('REQUEST_TIMEOUT', error, context)
  if (/socket disconnected before secure TLS connection|wrong version number/i.test(error.message))
    return byCode('EPROTO', error, context)
  if (/^(other side closed|terminated)$/.test(error.message)) return byCode('UND_ERR_SOCKET', error, context)
  // What fetch says of a port that it never uses, such as 1 or 6000.
  if (error.message === 'bad port')
    return {
      kind: 'wrong_url',
      what: 'its port is one that web clients refuse to use',
      remedy: `Check the port in ${addressSetting(context)}.`,
      transient: false,
    }
  return undefined
}
