/** The settings of callbacks: what is accepted, what turns them on, and that their secrets are known as such. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { SetupError } from '../../src/errors.ts'

const secret = () => `whsec_${randomBytes(32).toString('base64')}`
const load = (env: Record<string, string> = {}) => loadConfig(env)

function problemsOf(env: Record<string, string>): string {
  try {
    load(env)
  } catch (error) {
    if (error instanceof SetupError) return error.message
    throw error
  }
  throw new Error('these settings were accepted')
}

test.each([
  [{}, false],
  [{ QUEUES: 'email_queue' }, false],
  [{ QUEUES: 'email_queue,http_callbacks' }, true],
  [{ HTTP_CALLBACKS_SECRET: secret() }, true],
  [{ HTTP_CALLBACKS_ALLOW_PRIVATE: 'localhost' }, true],
  [{ HTTP_CALLBACKS_CONCURRENCY: '5' }, true],
  [{ HTTP_CALLBACKS_SECRET: '' }, false],
])('%o turns callbacks on: %s', (env, isWanted) => {
  expect(load(env).callbacks.isWanted).toBe(isWanted)
})

test('lists are separated by commas or spaces', () => {
  const secrets = [secret(), secret()]
  const { callbacks } = load({
    HTTP_CALLBACKS_SECRET: secrets.join(', '),
    HTTP_CALLBACKS_ALLOW_PRIVATE: 'localhost, *.Internal.example 10.0.0.0/8,::1',
    HTTP_CALLBACKS_PORTS: '443, 8443',
    HTTP_CALLBACKS_METHODS: 'put get',
    HTTP_CALLBACKS_HEADERS: 'Authorization X-*',
  })
  expect(callbacks).toMatchObject({
    secrets,
    allowPrivate: ['localhost', '*.Internal.example', '10.0.0.0/8', '::1'],
    ports: [443, 8443],
    methods: ['POST', 'PUT', 'GET'],
    headers: ['authorization', 'x-*'],
  })
})

test('what cannot be meant is refused by name, all at once, and never repeated', () => {
  const problems = problemsOf({
    HTTP_CALLBACKS_SECRET: `${secret()} hidden`,
    HTTP_CALLBACKS_ALLOW_PRIVATE: 'http://hidden.internal',
    HTTP_CALLBACKS_PORTS: '70000',
    HTTP_CALLBACKS_METHODS: 'TRACE',
    HTTP_CALLBACKS_HEADERS: 'X-A: hidden',
  })
  for (const says of [
    /SECRET is not a signing secret; allowed: whsec_ and 24 to 64 random bytes/,
    /ALLOW_PRIVATE has something in it that is neither host nor network/,
    /PORTS has something in it that is no port/,
    /METHODS has a method that callbacks cannot use; allowed: GET, POST/,
    /HEADERS has something in it that is no header name/,
  ])
    expect(problems).toMatch(says)
  expect(problems).not.toMatch(/hidden/)
})

test.each([
  'abc',
  'whsec_',
  'whsec_c2hvcnQ=',
  `whsec_${'A'.repeat(43)}`,
  `whsec_${'A'.repeat(100)}`,
  `whsec_${'ä'.repeat(40)}`,
])('%s is no signing secret', (text) =>
  expect(problemsOf({ HTTP_CALLBACKS_SECRET: text })).toMatch(/is not a signing secret/),
)

test('each signing secret is a secret, with and without its prefix, also when another is malformed', () => {
  const [one, two] = [secret(), secret()]
  const { secrets } = load({ HTTP_CALLBACKS_SECRET: `${one} ${two}` })
  expect(secrets).toEqual(expect.arrayContaining([one, one.slice(6), two, two.slice(6)]))
})

test('callbacks that are not signed are warned about, but a team’s own processor is its own business', () => {
  const unsigned = expect.stringContaining('callbacks are not signed')
  expect(load({ QUEUES: 'http_callbacks' }).warnings).toContainEqual(unsigned)
  expect(load({ HTTP_CALLBACKS_PORTS: '443' }).warnings).toContainEqual(unsigned)
  for (const env of [{}, { HTTP_CALLBACKS_SECRET: secret() }, { QUEUES: 'http_callbacks', PROCESSORS: 'x' }])
    expect(load(env).warnings).not.toContainEqual(unsigned)
})

test('a slip of the pen in a name is told', () => {
  expect(load({ HTTP_CALLBACKS_ALOW_PRIVATE: 'localhost' }).warnings).toContainEqual(
    expect.stringContaining('did you mean HTTP_CALLBACKS_ALLOW_PRIVATE?'),
  )
})
