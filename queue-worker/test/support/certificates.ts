import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

export type Certificate = { readonly key: string; readonly cert: string }
const DAY_MS = 24 * 60 * 60 * 1000

/** An authority of the tests' own, its certificate also as a file. Remove the folder with `remove`. */
export async function createAuthority() {
  const ca = await generate([{ name: 'commonName', value: 'Authority of the tests' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  })
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-ca-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, ca.cert)
  return {
    caFile,
    /** Signs a certificate for a host name or an address, valid now unless `expired`. */
    async sign(host: string, { expired = false } = {}): Promise<Certificate> {
      const now = Date.now()
      const pair = await generate([{ name: 'commonName', value: host }], {
        keyType: 'ec',
        algorithm: 'sha256',
        notBeforeDate: new Date(now - 10 * DAY_MS),
        notAfterDate: new Date(now + (expired ? -1 : 10) * DAY_MS),
        extensions: [
          { name: 'basicConstraints', cA: false },
          {
            name: 'subjectAltName',
            altNames: [isIP(host) === 0 ? { type: 2, value: host } : { type: 7, ip: host }],
          },
        ],
        ca: { key: ca.private, cert: ca.cert },
      })
      return { key: pair.private, cert: pair.cert }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
