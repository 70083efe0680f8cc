/** Whether the way is encrypted with a certificate that is trusted, and for how long it is valid. */
import { TLSSocket } from 'node:tls'
import type { FailureKind } from '../../errors.ts'
import { isLoopback } from '../../utils/loopback.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

const SOON_DAYS = 14
const DAY_MS = 86_400_000

export const tls = defineCheck({
  name: 'tls',
  group: 'Connection',
  needs: ['tcp'],
  catalog: {
    certificate_ok: { severity: 'ok', why: '' },
    certificate_untrusted: {
      severity: 'error',
      why: 'Nobody vouches for the server: it may be somebody who listens in.',
    },
    certificate_expired: {
      severity: 'error',
      why: 'No worker connects to a server with such a certificate.',
    },
    certificate_expires_soon: {
      severity: 'warning',
      why: 'On the day it expires all workers stop being able to connect.',
    },
    tls_failed: { severity: 'error', why: 'A worker does not connect where encryption cannot be agreed on.' },
    not_encrypted: {
      severity: 'warning',
      why: 'Whoever is on the way reads the key or password, and every message.',
    },
  },
  async run({ endpoint, config }: Parts, tell) {
    if (!endpoint.usesTls) {
      if (endpoint.socketPath !== undefined || isLoopback(endpoint.host)) return []
      const how = 'Use https:// in SUPABASE_URL, or take sslmode=disable out of DATABASE_URL.'
      return [tell('not_encrypted', `the connection to ${endpoint.name} is not encrypted`, how)]
    }
    try {
      const socket = await endpoint.connectTls(config.connection.connectTimeoutMs)
      const until =
        socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : Number.NaN
      socket.destroy()
      const date = Number.isNaN(until) ? 'an unknown day' : new Date(until).toISOString().slice(0, 10)
      if (until - Date.now() < SOON_DAYS * DAY_MS) {
        const how = 'Renew the certificate of the server, or find out why what renews it has not.'
        return [
          tell('certificate_expires_soon', `the certificate of ${endpoint.host} expires on ${date}`, how),
        ]
      }
      return [
        tell('certificate_ok', `the certificate of ${endpoint.host} is trusted, and valid until ${date}`),
      ]
    } catch (error) {
      const { kind, message, remedy } = endpoint.classify(error)
      return [tell(ID[kind] ?? 'tls_failed', message, remedy)]
    }
  },
})

const ID: { readonly [K in FailureKind]?: 'certificate_untrusted' | 'certificate_expired' } = {
  untrusted_ca: 'certificate_untrusted',
  certificate_expired: 'certificate_expired',
}
