import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { connectPostgres } from '../../src/services/postgres.ts'
import { createAuthority } from '../support/certificates.ts'
import { failureOf } from '../support/failure.ts'
import { startProxy } from '../support/proxy.ts'

/** TLS in front of the real server: all beyond the handshake is PostgreSQL. */
const stack = inject('stack')
const cleanUps: (() => Promise<unknown>)[] = []
let authority: Awaited<ReturnType<typeof createAuthority>>

beforeAll(async () => {
  authority = await createAuthority()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(() => authority.remove())

type Server = { name?: string; expired?: boolean; tls?: boolean }

/** A transport to a server with such a certificate, reached as localhost. */
async function reach(server: Server, query: string, caFile?: string) {
  const certificate = await authority.sign(server.name ?? 'localhost', { expired: server.expired ?? false })
  const targetPort = Number(new URL(stack.databaseUrl).port)
  const proxy = await startProxy({ targetPort, ...(server.tls === false ? {} : { certificate }) })
  const url = new URL(stack.databaseUrl)
  url.host = `localhost:${proxy.port}`
  const transport = connectPostgres({ url: url.href + query, caFile })
  cleanUps.push(
    () => proxy.stop(),
    () => transport.close(),
  )
  return transport.call('status', { protocol: 1 })
}

test('a private CA is accepted through its file, and calls work over TLS', async () => {
  expect(await reach({}, '?sslmode=require', authority.caFile)).toHaveProperty('protocol')
  expect(await reach({}, `?sslmode=verify-full&sslrootcert=${authority.caFile}`)).toHaveProperty('protocol')
})

test('a CA that is not known is refused, also with sslmode=require, and the remedy names the setting', async () => {
  const failure = await failureOf(reach({}, '?sslmode=require'))
  expect(failure).toMatchObject({ kind: 'untrusted_ca', transient: false })
  expect(failure.remedy).toMatch(/DATABASE_CA_FILE.*NODE_EXTRA_CA_CERTS/)
})

test('another CA than the one given is refused', async () => {
  const other = await createAuthority()
  cleanUps.push(() => other.remove())
  expect(await failureOf(reach({}, '?sslmode=require', other.caFile))).toMatchObject({ kind: 'untrusted_ca' })
})

test('an expired certificate is refused', async () => {
  const failure = await failureOf(reach({ expired: true }, '?sslmode=require', authority.caFile))
  expect(failure).toMatchObject({ kind: 'certificate_expired', transient: false })
})

test("a certificate of another host is refused, but for sslmode=verify-ca, which doesn't ask for the name", async () => {
  const failure = await failureOf(reach({ name: 'other.example.com' }, '?sslmode=require', authority.caFile))
  expect(failure).toMatchObject({ kind: 'tls', transient: false })
  expect(failure.message).toMatch(/another name than localhost/)
  expect(await reach({ name: 'other.example.com' }, '?sslmode=verify-ca', authority.caFile)).toHaveProperty(
    'protocol',
  )
})

test('a server without TLS is named when TLS is wanted', async () => {
  const failure = await failureOf(reach({ tls: false }, '?sslmode=require'))
  expect(failure).toMatchObject({ kind: 'tls', transient: false })
  expect(failure.remedy).toMatch(/sslmode=disable/)
})

test('towards this machine TLS is not used unless asked for', async () => {
  expect(await reach({ tls: false }, '')).toHaveProperty('protocol')
  expect(await reach({ tls: false }, '?sslmode=prefer')).toHaveProperty('protocol')
})
