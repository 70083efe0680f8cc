/** Which addresses callbacks may go to: the table of special networks, the notations of a url, and what a lookup says. */
import type { LookupAddress } from 'node:dns'
import { describe, expect, test } from 'vitest'
import {
  createAddressGuard,
  type GuardSettings,
  RefusedAddressError,
  type Resolve,
} from '../../src/services/http/address-guard.ts'
import { isPublicAddress } from '../../src/services/http/public-addresses.ts'
import { readHostPattern, readNetwork } from '../../src/utils/networks.ts'

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.127.255.255',
  '100.100.100.200',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.7',
  '203.0.113.7',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1', // IPv4-compatible
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8', // nobody publishes a mapped address
  '::ffff:0:10.0.0.1', // SIIT
  '64:ff9b::127.0.0.1',
  '64:ff9b::10.1.2.3',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::1', // NAT64 of one's own
  '100::1',
  '2001::1', // Teredo
  '2001:2::1',
  '2001:db8::1',
  '2002:7f00:1::', // 6to4
  '2002:808:808::',
  '3fff::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1%eth0',
  'fec0::1',
  'ff02::1',
  '',
  'localhost',
  '8.8.8',
])('%s is not public', (address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '168.63.129.17',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.167.255.255',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450:4001:82a::200e',
  '2001:200::1',
  '64:ff9b::8.8.8.8', // what a network without IPv4 is told of a public host
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

const guardWith = (settings: Partial<GuardSettings> = {}) =>
  createAddressGuard({ allowPrivate: [], ownAddresses: () => [], ...settings })

const check = (url: string, settings: Partial<GuardSettings> = {}) =>
  guardWith(settings).checkUrl(new URL(url))

describe('a url', () => {
  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://0/',
    'http://①②⑦.⓪.⓪.①/',
    'http://127.0.0.1./',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0xa9fea9fe/',
  ])('%s is refused, in whatever notation', (url) => {
    expect(() => check(url)).toThrow(RefusedAddressError)
    expect(() => check(url)).toThrow(
      /is not on the public internet.*HTTP_CALLBACKS_ALLOW_PRIVATE, restart the worker and redrive/,
    )
  })

  test.each([
    ['file:///etc/passwd', /goes to http:\/\/ or https:\/\/, not file:\/\//],
    ['gopher://example.com/', /not gopher/],
    ['https://user@example.com/', /user or password in it/],
    ['https://:secret@example.com/', /user or password in it/],
  ])('%s is refused', (url, says) => {
    expect(() => check(url)).toThrow(says)
  })

  test('that is public, or allowed by its address, passes', () => {
    check('https://8.8.8.8/')
    check('https://example.com/')
    check('http://127.0.0.1:3000/', { allowPrivate: ['127.0.0.0/8'] })
    check('http://[::1]/', { allowPrivate: ['::1'] })
    expect(() => check('http://127.0.0.1/', { allowPrivate: ['localhost', '10.0.0.0/8'] })).toThrow()
  })

  test('may be held to some ports, the usual ones included', () => {
    check('https://example.com/', { ports: [443] })
    check('http://example.com:8443/', { ports: [443, 8443] })
    expect(() => check('http://example.com/', { ports: [443] })).toThrow(
      /port 80 is not one of HTTP_CALLBACKS_PORTS \(443\)/,
    )
  })

  test('to this very machine is refused, also by its public address', () => {
    const ownAddresses = () => ['8.8.8.8', '2606:4700::1']
    expect(() => check('http://8.8.8.8/', { ownAddresses })).toThrow(/is this machine itself/)
    expect(() => check('http://[2606:4700:0:0::1]/', { ownAddresses })).toThrow(/is this machine itself/)
    check('http://8.8.8.8/', { ownAddresses, allowPrivate: ['8.8.8.8'] })
  })
})

describe('a lookup', () => {
  const resolveTo =
    (...addresses: string[]): Resolve =>
    (_host, _options, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  const lookup = (settings: Partial<GuardSettings>, host = 'a.example', all = true) =>
    new Promise<string | LookupAddress[]>((resolve, reject) => {
      guardWith(settings).lookup(host, { all }, (error, found) => (error ? reject(error) : resolve(found)))
    })

  test('gives what it checked', async () => {
    const resolve = resolveTo('8.8.8.8', '2606:4700::1')
    expect(await lookup({ resolve })).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ])
    expect(await lookup({ resolve }, 'a.example', false)).toBe('8.8.8.8')
  })

  test('fails when one of the addresses is not allowed, and names it', async () => {
    const failed = lookup({ resolve: resolveTo('8.8.8.8', '10.0.0.5') })
    await expect(failed).rejects.toThrow(RefusedAddressError)
    await expect(failed).rejects.toThrow(
      'a.example, which is 10.0.0.5, is not on the public internet. If it is meant, add a.example to HTTP_CALLBACKS_ALLOW_PRIVATE',
    )
    await expect(lookup({ resolve: resolveTo('fe80::1%eth0') })).rejects.toThrow(RefusedAddressError)
  })

  test('allows named hosts whatever their addresses, those below *. and not the name itself', async () => {
    const resolve = resolveTo('10.0.0.5')
    const allowPrivate = ['a.example', '*.internal.example']
    for (const host of ['a.example', 'A.Example.', 'x.internal.example', 'x.y.internal.example'])
      expect(await lookup({ resolve, allowPrivate }, host)).toHaveLength(1)
    for (const host of ['b.example', 'internal.example', 'xinternal.example', 'a.example.evil.example'])
      await expect(lookup({ resolve, allowPrivate }, host)).rejects.toThrow(RefusedAddressError)
    expect(await lookup({ resolve, allowPrivate: ['10.0.0.0/29'] })).toHaveLength(1)
    await expect(lookup({ resolve, allowPrivate: ['10.0.0.0/30'] })).rejects.toThrow(RefusedAddressError)
  })

  test('passes on what the system says of a name that is not there', async () => {
    const error = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })
    await expect(lookup({ resolve: (_host, _options, done) => done(error, []) })).rejects.toBe(error)
    await expect(lookup({ resolve: resolveTo() })).rejects.toThrow('a.example has no address')
  })
})

test('settings name networks and hosts, and nothing that could be meant otherwise', () => {
  expect(readNetwork('10.0.0.0/8')).toEqual({ address: '10.0.0.0', prefix: 8, family: 'ipv4' })
  expect(readNetwork('fd00::/8')).toEqual({ address: 'fd00::', prefix: 8, family: 'ipv6' })
  expect(readNetwork('::1')?.prefix).toBe(128)
  for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0/8', '::/129', '10.0.0.0/-1', 'a/8'])
    expect(readNetwork(text)).toBeUndefined()
  expect(readHostPattern('Hooks.Internal.')).toBe('hooks.internal')
  expect(readHostPattern('*.svc.local')).toBe('*.svc.local')
  for (const text of [
    '127.1',
    '0x7f.1',
    '2130706433',
    '*',
    '*.*.x',
    'a..b',
    '-a',
    'http://a',
    'a:80',
    'a/8',
    '',
  ])
    expect(readHostPattern(text)).toBeUndefined()
})
