/** What the variables say about the dashboard, and what they may not. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { coerceError } from '../../src/errors.ts'

const load = (env: Record<string, string>) => loadConfig(env, 0)
const A = 'a'.repeat(32)
const B = 'b'.repeat(32)

function problemsOf(env: Record<string, string>): string {
  try {
    load(env)
  } catch (error) {
    return coerceError(error).message
  }
  throw new Error('these settings were accepted')
}

test('it is on at /dashboard, believes proxies of this machine, and knows nobody', () => {
  expect(load({}).dashboard).toEqual({
    ...{ path: '/dashboard', viewerTokens: [], users: null },
    trustedProxies: [
      { address: '127.0.0.0', prefix: 8, family: 'ipv4' },
      { address: '::1', prefix: 128, family: 'ipv6' },
    ],
  })
  expect(load({ DASHBOARD: 'off', VIEWER_TOKEN: A }).dashboard).toBeNull()
})

test('tokens, users and proxies are read, and tokens are secrets', () => {
  const config = load({
    ...{ ADMIN_TOKEN: A, VIEWER_TOKEN: `${B}, ${B}c`, DASHBOARD_PATH: '/ops/queues/' },
    ...{ DASHBOARD_USER_HEADER: 'X-Auth-Request-Email', DASHBOARD_OPERATORS: 'ann@example.com,bob' },
    ...{ DASHBOARD_VIEWERS: '*', DASHBOARD_TRUSTED_PROXIES: '10.0.0.7 fd00::/8' },
  })
  expect(config.dashboard).toMatchObject({
    ...{ path: '/ops/queues', viewerTokens: [B, `${B}c`] },
    users: { header: 'X-Auth-Request-Email', operators: ['ann@example.com', 'bob'], viewers: ['*'] },
    trustedProxies: [{ address: '10.0.0.7', prefix: 32 }, { prefix: 8 }],
  })
  expect(config.secrets).toEqual(expect.arrayContaining([A, B, `${B}c`]))
})

test('what is wrong is told all at once, with what is allowed, and without repeating it', () => {
  const told = problemsOf({
    ...{ DASHBOARD: 'perhaps', DASHBOARD_PATH: 'queues', DASHBOARD_USER_HEADER: 'X_User' },
    ...{ DASHBOARD_OPERATORS: '*', DASHBOARD_VIEWERS: 'a*', DASHBOARD_TRUSTED_PROXIES: 'nginx' },
    VIEWER_TOKEN: 'short-and-secret',
  })
  expect(told).toMatch(/^7 settings are missing or malformed/)
  expect(told).toMatch(/DASHBOARD is neither yes nor no/)
  expect(told).toMatch(/DASHBOARD_PATH is not such a path; allowed: a path of letters/)
  expect(told).toMatch(/DASHBOARD_USER_HEADER is not the name of a header; allowed: .*X-Forwarded-User/)
  expect(told).toMatch(/DASHBOARD_OPERATORS has \* in it, and not everybody may act; allowed: names/)
  expect(told).toMatch(/DASHBOARD_VIEWERS has a name in it that none can be; allowed: .*or \* for everybody/)
  expect(told).toMatch(/DASHBOARD_TRUSTED_PROXIES has something in it that is neither address nor network/)
  expect(told).toMatch(/VIEWER_TOKEN is too short or not a token/)
  expect(told).not.toMatch(/perhaps|nginx|short-and-secret|X_User/)
})

test.each(['/', '//', 'dashboard', '/a b', '/a/../b', '/.', '/a//b', '/ü', '/a?b', `/${'a'.repeat(100)}`])(
  'the path %s is refused',
  (path) => {
    expect(problemsOf({ DASHBOARD_PATH: path })).toMatch(/DASHBOARD_PATH is not such a path/)
  },
)

test.each(['/health', '/api/queues', '/metrics', '/wake/up', '/readyz', '/livez'])(
  'the path %s is taken',
  (path) => {
    expect(problemsOf({ DASHBOARD_PATH: path })).toMatch(/begins where the worker answers something else/)
  },
)

test.each(['Authorization', 'Cookie', 'Host', 'X-Forwarded-For', 'X-Forwarded-Prefix', 'Accept-Language'])(
  'the header %s names no user',
  (header) => {
    const env = { DASHBOARD_USER_HEADER: header, DASHBOARD_VIEWERS: '*' }
    expect(problemsOf(env)).toMatch(/DASHBOARD_USER_HEADER is a header that names no user/)
  },
)

test.each(['0.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0', 'fe80::1%eth0', '10.0.0.1:80'])(
  'the proxy %s is refused',
  (proxy) => {
    expect(problemsOf({ DASHBOARD_TRUSTED_PROXIES: proxy })).toMatch(/neither address nor network/)
  },
)

test('settings that need each other', () => {
  expect(problemsOf({ DASHBOARD_USER_HEADER: 'X-User' })).toMatch(
    /DASHBOARD_VIEWERS is missing: with DASHBOARD_USER_HEADER alone nobody may enter; allowed: .*\* for everybody/,
  )
  expect(load({ DASHBOARD_OPERATORS: 'ann' }).warnings).toEqual([
    'DASHBOARD_OPERATORS is set without DASHBOARD_USER_HEADER: nobody is known by name',
  ])
  expect(problemsOf({ ADMIN_TOKEN: `${A} ${B}`, VIEWER_TOKEN: B })).toMatch(
    /VIEWER_TOKEN has a token that ADMIN_TOKEN has too; allowed: one of its own/,
  )
  expect(load({ DASHBORD_PATH: '/x' }).warnings).toEqual([])
  expect(load({ DASHBOARD_VIEWER: 'x' }).warnings).toEqual([
    'DASHBOARD_VIEWER is not a setting; did you mean DASHBOARD_VIEWERS?',
  ])
})
