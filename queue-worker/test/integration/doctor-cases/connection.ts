/** The way to the database, broken at each of its steps. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createAuthority } from '../../support/certificates.ts'
import { freePort } from '../../support/cli.ts'
import type { DoctorBench } from '../../support/doctor-bench.ts'
import { startProxy } from '../../support/proxy.ts'
import type { Case } from './case.ts'

async function certificate({ later }: DoctorBench, options: { expired?: boolean } = {}) {
  const authority = await createAuthority()
  later(() => authority.remove())
  return { caFile: authority.caFile, pair: await authority.sign('localhost', options) }
}

/** A web server that has this certificate. */
async function httpsServer(bench: DoctorBench, options: { expired?: boolean } = {}) {
  const { caFile, pair } = await certificate(bench, options)
  const server = createServer(pair, (_request, response) => {
    response.setHeader('content-type', 'text/html').end('<h1>Welcome</h1>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bench.later(() => {
    server.closeAllConnections()
    server.close()
  })
  return { caFile, SUPABASE_URL: `https://localhost:${(server.address() as AddressInfo).port}` }
}

export const connection: readonly Case[] = [
  {
    what: 'a wrong host',
    kind: 'rpc',
    breaks: () => ({ SUPABASE_URL: 'https://no-such-host.invalid' }),
    finds: 'name_not_found',
    says: /the name no-such-host\.invalid .*\(DNS/,
    remedy: /Check the host in SUPABASE_URL/,
  },
  {
    what: 'a wrong host',
    kind: 'postgres',
    breaks: (bench) =>
      bench.elsewhere((url) => {
        url.hostname = 'no-such-host.invalid'
      }),
    finds: 'name_not_found',
    says: /the name no-such-host\.invalid .*\(DNS/,
    remedy: /Check the host in DATABASE_URL/,
  },
  {
    what: 'a closed port',
    kind: 'rpc',
    breaks: async () => ({ SUPABASE_URL: `http://127.0.0.1:${await freePort()}` }),
    finds: 'port_closed',
    says: /nothing accepts connections there/,
    remedy: /host and port in SUPABASE_URL/,
  },
  {
    what: 'a closed port',
    kind: 'postgres',
    async breaks(bench) {
      const port = String(await freePort())
      return bench.elsewhere((url) => {
        url.port = port
      })
    },
    finds: 'port_closed',
    says: /nothing accepts connections there/,
    remedy: /host and port in DATABASE_URL/,
  },
  {
    what: 'a server that takes connections and says nothing',
    kind: 'postgres',
    async breaks(bench) {
      const { port, set, stop } = await startProxy({ targetPort: 1 })
      bench.later(stop)
      set('silent')
      const url = bench.elsewhere((one) => {
        one.port = String(port)
      })
      return { ...url, CONNECT_TIMEOUT_MS: '500' }
    },
    finds: 'no_answer',
    says: /within the time limit/,
    remedy: /CONNECT_TIMEOUT_MS/,
  },
  {
    what: 'an unknown authority',
    kind: 'rpc',
    breaks: async (bench) => ({ SUPABASE_URL: (await httpsServer(bench)).SUPABASE_URL }),
    finds: 'certificate_untrusted',
    says: /not issued by a CA that is trusted here/,
    remedy: /DATABASE_CA_FILE.*NODE_EXTRA_CA_CERTS/,
  },
  {
    what: 'an unknown authority',
    kind: 'postgres',
    breaks: async (bench) =>
      bench.through({ certificate: (await certificate(bench)).pair }, '?sslmode=require'),
    finds: 'certificate_untrusted',
    says: /not issued by a CA that is trusted here/,
    remedy: /DATABASE_CA_FILE/,
  },
  {
    what: 'an expired certificate',
    kind: 'rpc',
    async breaks(bench) {
      const { caFile, SUPABASE_URL } = await httpsServer(bench, { expired: true })
      return { SUPABASE_URL, DATABASE_CA_FILE: caFile }
    },
    finds: 'certificate_expired',
    says: /its certificate has expired/,
    remedy: /Renew the certificate/,
  },
  {
    what: 'a certificate that expires in ten days',
    kind: 'postgres',
    async breaks(bench) {
      const { caFile, pair } = await certificate(bench)
      return { ...(await bench.through({ certificate: pair }, '?sslmode=require')), DATABASE_CA_FILE: caFile }
    },
    finds: 'certificate_expires_soon',
    says: /the certificate of localhost expires on \d{4}-/,
    remedy: /Renew/,
  },
  {
    what: 'a server without TLS',
    kind: 'postgres',
    breaks: (bench) => bench.through({}, '?sslmode=require'),
    finds: 'tls_failed',
    says: /offers no TLS/,
    remedy: /sslmode=disable/,
  },
  {
    what: 'a website instead of the API',
    kind: 'rpc',
    async breaks(bench) {
      const { caFile, SUPABASE_URL } = await httpsServer(bench)
      return { SUPABASE_URL, DATABASE_CA_FILE: caFile }
    },
    finds: 'wrong_address',
    also: ['certificate_expires_soon'],
    says: /is not from a Supabase API/,
    remedy: /https:\/\/<ref>\.supabase\.co/,
  },
  {
    what: 'a wrong password',
    kind: 'postgres',
    breaks: (bench) =>
      bench.elsewhere((url) => {
        url.password = 'wrong'
      }),
    finds: 'login_refused',
    says: /the login was refused/,
    remedy: /Check user and password in DATABASE_URL/,
  },
  {
    what: 'the key of another project',
    kind: 'rpc',
    breaks: () => ({ SUPABASE_SECRET_KEY: 'sb_secret_of_another_project_0123456789' }),
    finds: 'key_refused',
    says: /the key was refused/,
    remedy: /secret key of the same project/,
  },
  {
    what: 'the anon key',
    kind: 'rpc',
    breaks: ({ stack }) => ({ SUPABASE_SECRET_KEY: stack.anonKey }),
    finds: 'settings_wrong',
    says: /is a key of the role anon, which may not use queues/,
    remedy: /\.env\.example/,
    code: 3,
  },
  {
    what: 'the publishable key',
    kind: 'rpc',
    breaks: ({ stack }) => ({ SUPABASE_SECRET_KEY: stack.publishableKey }),
    finds: 'settings_wrong',
    says: /is the publishable key.*Settings > API Keys/,
    remedy: /\.env\.example/,
    code: 3,
  },
  {
    what: 'a login without any right',
    kind: 'postgres',
    async breaks(bench) {
      await bench.sql`create role nobody_special login password 'nothing'`
      bench.later(() => bench.sql`drop role nobody_special`)
      return bench.elsewhere((url) => {
        url.username = 'nobody_special'
        url.password = 'nothing'
      })
    },
    finds: 'rights_missing',
    says: /may not use the queue functions/,
    remedy: /grant queue_worker to/,
  },
  {
    what: 'a transaction pooler',
    kind: 'postgres',
    breaks: ({ stack }) => ({ DATABASE_URL: `${stack.databaseUrl}?pgbouncer=true` }),
    finds: 'transaction_pooler',
    says: /leads to a transaction pooler/,
    remedy: /session pooler/,
  },
  {
    what: 'something that swallows notifications',
    kind: 'postgres',
    breaks: (bench) => bench.through({ swallow: 'A' }),
    finds: 'listen_silent',
    says: /a probe notification does not arrive/,
    remedy: /QUEUE_NOTIFY=off/,
  },
  {
    what: 'a wrong DATABASE_URL beside the API',
    kind: 'rpc',
    breaks: (bench) =>
      bench.elsewhere((url) => {
        url.password = 'wrong'
      }),
    finds: 'database_url_unusable',
    says: /the login was refused/,
    remedy: /Check user and password in DATABASE_URL/,
  },
]
