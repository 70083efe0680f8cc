/** The decisions about who may see the dashboard, each by itself. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { cookiesNamed, cookieText } from '../../src/dashboard/access/cookies.ts'
import { formToken, isForeign } from '../../src/dashboard/access/origin.ts'
import { ownPath, plainPrefix } from '../../src/dashboard/access/own-path.ts'
import { createProxies } from '../../src/dashboard/access/proxies.ts'
import { holderOf, newSession, SESSION_SECONDS, sessionHolder } from '../../src/dashboard/access/session.ts'
import { type AccessSettings, whoMay } from '../../src/dashboard/access/settings.ts'
import { meetUser } from '../../src/dashboard/access/users.ts'
import { tokenFinder } from '../../src/server/tokens.ts'
import { trust } from '../support/dashboard-door.ts'

const ADMIN = 'a'.repeat(32)
const VIEWER = 'v'.repeat(32)
const nowMs = Date.parse('2026-06-01T00:00:00Z')

function request(headers: IncomingHttpHeaders = {}, remoteAddress = '127.0.0.1'): IncomingMessage {
  const distinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()]))
  return { headers, headersDistinct: distinct, socket: { remoteAddress } } as unknown as IncomingMessage
}

describe('sessions', () => {
  const admin = holderOf(ADMIN, 'operator')
  const viewer = holderOf(VIEWER, 'viewer')
  const holders = [viewer, admin]

  test('hold for the token that signed them, until they are over', () => {
    const session = newSession(admin, nowMs)
    expect(sessionHolder(session, holders, nowMs)).toBe(admin)
    expect(sessionHolder(session, holders, nowMs + SESSION_SECONDS * 1000 - 1)).toBe(admin)
    expect(sessionHolder(session, holders, nowMs + SESSION_SECONDS * 1000)).toBeNull()
    expect(sessionHolder(session, [viewer], nowMs)).toBeNull()
    expect(sessionHolder(session, [], nowMs)).toBeNull()
    expect(newSession(admin, nowMs)).not.toBe(session)
  })

  test('no part of one can be changed', () => {
    const session = newSession(admin, nowMs)
    // The last letter carries two bits that mean nothing.
    for (let at = 0; at < session.length - 1; at++) {
      const other = session[at] === 'A' ? 'B' : 'A'
      const changed = session.slice(0, at) + other + session.slice(at + 1)
      expect([changed, sessionHolder(changed, holders, nowMs)]).toEqual([changed, null])
    }
    for (const text of ['', '.', '...', `${session}.`, ` ${session}`, `${session}\n`, 'x'.repeat(100_000)])
      expect(sessionHolder(text, holders, nowMs)).toBeNull()
  })

  test('tell nothing of the token, and names tell tokens apart', () => {
    expect(admin.name).toMatch(/^operator [0-9a-f]{4}$/)
    expect(holderOf('b'.repeat(32), 'operator').name).not.toBe(admin.name)
    expect(newSession(admin, nowMs)).not.toContain('aaaa')
  })

  test('are each of their own, and so are their forms', () => {
    const [one, other] = [newSession(admin, nowMs), newSession(admin, nowMs)]
    const tokens = [formToken(one, 'ann'), formToken(other, 'ann'), formToken(one, 'bob')]
    expect(new Set(tokens).size).toBe(3)
    expect(tokens.join()).not.toContain(one)
  })
})

test('a token is found by its place, whatever is shown', () => {
  const find = tokenFinder([ADMIN, VIEWER])
  expect([ADMIN, VIEWER, '', ADMIN.slice(1), `${ADMIN}a`, '\0', 'é'.repeat(32)].map(find)).toEqual([
    ...[0, 1, -1, -1, -1, -1, -1],
  ])
  expect(tokenFinder([])('')).toBe(-1)
})

test('cookies are read as they come and written so that nobody else gets them', () => {
  expect(cookiesNamed('a', 'a=1; b=2;a=3 ; aa=4; xa=5; a')).toEqual(['1', '3'])
  expect(cookiesNamed('a', undefined)).toEqual([])
  expect(cookieText('a', 'b', { path: '/x', isSecure: true, maxAgeSeconds: 9 })).toBe(
    'a=b; Path=/x; Max-Age=9; HttpOnly; SameSite=Strict; Secure',
  )
  expect(cookieText('a', 'b', { path: '/x', isSecure: false })).toBe(
    'a=b; Path=/x; HttpOnly; SameSite=Strict',
  )
})

test.each([
  [{}, false],
  [{ 'sec-fetch-site': 'same-origin' }, false],
  [{ 'sec-fetch-site': 'none' }, false],
  [{ 'sec-fetch-site': 'same-site' }, true],
  [{ 'sec-fetch-site': 'cross-site' }, true],
  [{ 'sec-fetch-site': '' }, true],
  [{ origin: 'https://ops.example' }, false],
  [{ origin: 'http://ops.example' }, false],
  [{ origin: 'http://ops.example:8080' }, true],
  [{ origin: 'https://inner:8080' }, false],
  [{ origin: 'https://evil.example' }, true],
  [{ origin: 'https://ops.example.evil.example' }, true],
  [{ origin: 'null' }, true],
  [{ origin: '' }, true],
  [{ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }, false],
])('a request with %o: foreign is %s', (headers, foreign) => {
  expect(isForeign(request(headers), ['inner:8080', 'ops.example'])).toBe(foreign)
})

test.each([
  ['/', '/'],
  ['/queues/a%2Fb?state=dead&q=%22', '/queues/a%2Fb?state=dead&q=%22'],
  [undefined, '/'],
  [null, '/'],
  ['', '/'],
  ['queues', '/'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example/', '/'],
  ['/a/../../b', '/'],
  ['/a/%2E%2e/b', '/'],
  ['/a\tb', '/'],
  ['/a#b', '/'],
  ['/login', '/'],
  ['/login?next=/x', '/'],
  ['/logout', '/'],
  [`/${'a'.repeat(2000)}`, '/'],
])('after login to %s one goes to %s', (given, to) => {
  expect(ownPath(given)).toBe(to)
})

test.each([
  [undefined, ''],
  ['/', ''],
  ['/tools', '/tools'],
  ['/tools/ops/', '/tools/ops'],
  ['tools', ''],
  ['//evil.example', ''],
  ['/a//b', ''],
  ['/..', ''],
  ['/a/./b', ''],
  ['/a\r\nx: y', ''],
  ['/"onload="x', ''],
  [`/${'a'.repeat(300)}`, ''],
])('the prefix %s of a proxy counts as %s', (given, prefix) => {
  expect(plainPrefix(given)).toBe(prefix)
})

describe('proxies', () => {
  const { isTrusted, baseOf, hostsOf, wantsSecure } = createProxies(trust('10.0.0.0/8', '::1'), '/dashboard')
  const told = {
    ...{ host: 'inner:8080', 'x-forwarded-prefix': '/tools', 'x-forwarded-host': 'ops.example, inner' },
    'x-forwarded-proto': 'https',
  }

  test('are known by their address, also by an IPv4 one within IPv6', () => {
    const known = (address: string) => isTrusted(request({}, address))
    expect(['10.1.2.3', '::ffff:10.1.2.3', '::1'].map(known)).toEqual([true, true, true])
    expect(['11.0.0.1', '127.0.0.1', '::2', '::ffff:11.0.0.1', 'fe80::1%eth0', ''].map(known)).toEqual(
      Array(6).fill(false),
    )
  })

  test('are believed where the browser is; others are not', () => {
    expect(baseOf(request(told, '10.0.0.1'))).toBe('/tools/dashboard')
    expect(hostsOf(request(told, '10.0.0.1'))).toEqual(['inner:8080', 'ops.example'])
    expect(baseOf(request(told, '11.0.0.1'))).toBe('/dashboard')
    expect(hostsOf(request(told, '11.0.0.1'))).toEqual(['inner:8080'])
  })

  test.each([
    [{ host: 'localhost:8080' }, '127.0.0.1', false],
    [{ host: '127.0.0.1:8080' }, '::ffff:127.0.0.1', false],
    [{ host: '[::1]:8080' }, '::1', false],
    [{ host: 'localhost', 'x-forwarded-proto': 'https' }, '::1', true],
    [{ host: 'localhost', 'x-forwarded-proto': 'https, http' }, '::1', true],
    [{ host: 'localhost', 'x-forwarded-proto': 'https' }, '127.0.0.1', false],
    [{ host: 'ops.example' }, '127.0.0.1', true],
    [{ host: 'localhost' }, '172.17.0.1', false],
    [{ host: 'localhost', origin: 'https://ops.example' }, '127.0.0.1', true],
    [{ host: 'localhost', origin: 'http://localhost' }, '127.0.0.1', false],
    [{}, '127.0.0.1', true],
  ])('cookies of a request with %o from %s: secure is %s', (headers, from, secure) => {
    expect(wantsSecure(request(headers, from))).toBe(secure)
  })
})

describe('users whom a proxy names', () => {
  const proxies = createProxies(trust('127.0.0.1'), '/dashboard')
  const users = { header: 'X-User', operators: ['ann', 'both'], viewers: ['bob', 'both'] }
  const meet = (name: string | string[], more: Partial<typeof users> = {}) =>
    meetUser(request({ 'x-user': name }), { ...users, ...more }, proxies)

  test('are operators, viewers or strangers', () => {
    expect(meet('ann')).toEqual({ kind: 'user', name: 'ann', role: 'operator' })
    expect(meet(' bob ')).toEqual({ kind: 'user', name: 'bob', role: 'viewer' })
    expect(meet('both')).toMatchObject({ role: 'operator' })
    expect(meet('eve')).toEqual({ kind: 'stranger', name: 'eve' })
    expect(meet('eve', { viewers: ['*'] })).toMatchObject({ role: 'viewer' })
    expect(meet('*', { viewers: ['bob'] })).toEqual({ kind: 'stranger', name: '*' })
  })

  test('are one, with a name that one can have', () => {
    for (const name of [['ann', 'ann'], ['', 'ann'], 'eve,ann', 'a\0b', 'a\x7fb', 'x'.repeat(201)])
      expect([name, meet(name, { viewers: ['*'] })]).toEqual([name, { kind: 'unclear' }])
    expect(meet('')).toEqual({ kind: 'nobody' })
    expect(meet('  ')).toEqual({ kind: 'nobody' })
  })

  test('are believed from a trusted address alone, and where a header is set', () => {
    expect(meetUser(request({ 'x-user': 'ann' }, '10.0.0.1'), users, proxies)).toEqual({ kind: 'untrusted' })
    expect(meetUser(request({ 'x-user': '' }, '10.0.0.1'), users, proxies)).toEqual({ kind: 'untrusted' })
    expect(meetUser(request({}, '10.0.0.1'), users, proxies)).toEqual({ kind: 'nobody' })
    expect(meetUser(request({ 'x-user': 'ann' }), null, proxies)).toEqual({ kind: 'nobody' })
  })
})

test.each([
  [{}, /^closed: ADMIN_TOKEN, VIEWER_TOKEN or DASHBOARD_USER_HEADER opens it/],
  [{ isOnThisMachine: true }, /^open, to this machine alone$/],
  [{ isOnThisMachine: true, viewerTokens: [VIEWER] }, /^for who has VIEWER_TOKEN \(viewer\)$/],
  [{ operatorTokens: [ADMIN], viewerTokens: [VIEWER] }, /ADMIN_TOKEN \(operator\), who has VIEWER_TOKEN/],
  [
    { users: { header: 'X-User', operators: [], viewers: ['*'] } },
    /^for those whom a trusted proxy names in X-User$/,
  ],
])('%o is told as %s', (given: Partial<AccessSettings>, told) => {
  const none = { operatorTokens: [], viewerTokens: [], users: null, trustedProxies: [] }
  expect(whoMay({ path: '/dashboard', isOnThisMachine: false, ...none, ...given })).toMatch(told)
})
