import { expect, test } from 'vitest'
import { decide } from '../../src/embedded/access.ts'
import { describeStack } from '../../src/embedded/describe.ts'

const keys = {
  secretKey: 'sb_secret_s',
  publishableKey: 'sb_publishable_p',
  serviceRoleKey: 'service.jwt',
  anonKey: 'anon.jwt',
}

test.each([
  ['no key', undefined, undefined, 'No API key found in request'],
  ['an empty key', '', undefined, 'No API key found in request'],
  ['only a token, no key', undefined, 'Bearer service.jwt', 'No API key found in request'],
  ['an unknown key', 'sb_secret_x', undefined, 'Invalid API key'],
  [
    'a key in Authorization that is not the one in apikey',
    'sb_publishable_p',
    'Bearer sb_secret_s',
    'Invalid API key',
  ],
])('%s is refused', (_, apikey, authorization, message) => {
  expect(decide({ apikey, authorization, userAgent: 'node' }, keys)).toMatchObject({ refusal: { message } })
})

test.each([
  ['the secret key is service_role', 'sb_secret_s', undefined, 'service.jwt'],
  ['the publishable key is anon', 'sb_publishable_p', undefined, 'anon.jwt'],
  ['the same key twice counts once', 'sb_secret_s', 'Bearer sb_secret_s', 'service.jwt'],
  ['a legacy key is its own token', 'service.jwt', 'bearer service.jwt', 'service.jwt'],
  ["a user's token goes before the key", 'sb_publishable_p', 'Bearer user.jwt', 'user.jwt'],
  ['another scheme than Bearer does not count', 'anon.jwt', 'Basic abc', 'anon.jwt'],
])('%s', (_, apikey, authorization, token) => {
  expect(decide({ apikey, authorization, userAgent: undefined }, keys)).toEqual({
    authorization: `Bearer ${token}`,
  })
})

test('a secret key from a browser is refused', () => {
  const userAgent = 'Mozilla/5.0 (X11; Linux x86_64)'
  const ask = (apikey: string) => decide({ apikey, authorization: undefined, userAgent }, keys)
  expect(ask(keys.secretKey)).toHaveProperty('refusal')
  expect(ask(keys.publishableKey)).toEqual({ authorization: 'Bearer anon.jwt' })
})

test('the description holds every setting that connects to the stack, and a statement that sends', () => {
  const text = describeStack({
    ...keys,
    url: 'http://127.0.0.1:54321',
    databaseUrl: 'postgres://postgres:p@127.0.0.1:54322/postgres',
    adminUrl: 'postgres://supabase_admin:hidden@127.0.0.1:54322/postgres',
    smtp: { host: '127.0.0.1', port: 54325, user: 'u', pass: 'w' },
    mailDirectory: '/there/mail',
    attached: false,
    stop: async () => {},
  })
  const settings = Object.fromEntries(
    [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  )
  expect(settings).toEqual({
    SUPABASE_URL: 'http://127.0.0.1:54321',
    SUPABASE_SECRET_KEY: 'sb_secret_s',
    DATABASE_URL: 'postgres://postgres:p@127.0.0.1:54322/postgres',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: '54325',
    SMTP_USER: 'u',
    SMTP_PASS: 'w',
    SMTP_SECURE: 'false',
    SMTP_FROM: 'worker@example.com',
  })
  expect(text).toContain("select pgmq.send('email_queue', ")
  expect(text).toContain('/there/mail')
  expect(text).not.toContain('hidden')
})
