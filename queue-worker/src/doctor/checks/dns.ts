/** Whether the host's name leads to an address. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const dns = defineCheck({
  name: 'dns',
  group: 'Connection',
  limitMs: 15_000,
  catalog: {
    name_found: { severity: 'ok', why: '' },
    name_not_found: { severity: 'error', why: 'Without an address there is nothing to connect to.' },
  },
  async run({ endpoint }: Parts, tell) {
    const { host, socketPath } = endpoint
    if (socketPath !== undefined || isIP(host) !== 0) return []
    try {
      const addresses = await lookup(host, { all: true })
      const list = addresses.map(({ address }) => address).join(', ')
      return [tell('name_found', `${host} is ${list}`)]
    } catch (error) {
      const { message, remedy } = endpoint.classify(error)
      return [tell('name_not_found', message, remedy)]
    }
  },
})
