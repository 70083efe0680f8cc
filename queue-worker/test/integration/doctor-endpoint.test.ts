/** The doctor's way over HTTPS to an address: the certificate is verified for it, and Node has nothing to complain of. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endpointOf } from '../../src/doctor/endpoint.ts'
import { createAuthority } from '../support/certificates.ts'
import { startReceiver } from '../support/receiver.ts'

let authority: Awaited<ReturnType<typeof createAuthority>>
beforeAll(async () => {
  authority = await createAuthority()
})
afterAll(() => authority.remove())

test.each([
  ['127.0.0.1', '127.0.0.1', null],
  ['localhost', 'localhost', null],
  ['127.0.0.1', 'localhost', 'tls'],
  ['localhost', '127.0.0.1', 'tls'],
] as const)('%s with a certificate for %s: %s', async (host, name, failure) => {
  const server = await startReceiver(undefined, await authority.sign(name))
  const warnings: Error[] = []
  const keep = (warning: Error) => void warnings.push(warning)
  process.on('warning', keep)
  try {
    const url = `https://${host}:${server.port}`
    const endpoint = endpointOf({ kind: 'rpc', url, key: 'k', caFile: authority.caFile, preferIpv4: true })
    const outcome = await endpoint.connectTls(30_000).then(
      (socket) => {
        socket.destroy()
        return null
      },
      (error: unknown) => endpoint.classify(error).kind,
    )
    expect(outcome).toBe(failure)
    // Warnings are told a tick later.
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings.map(({ message }) => message)).toEqual([])
  } finally {
    process.off('warning', keep)
    await server.stop()
  }
})
