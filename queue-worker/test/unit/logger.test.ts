import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLogger } from '../../src/utils/logger.ts'
import { createRedactor, REDACTED } from '../../src/utils/redact.ts'

const key = 'sb_secret_Zm9vYmFy-"quoted"'
const password = "p@ss w'ord/ä+\n#1"

function collect(secrets: readonly string[], pretty = false) {
  const lines: string[] = []
  const logger = createLogger({
    level: 'trace',
    pretty,
    secrets,
    destination: { write: (line: string) => lines.push(line) },
  })
  return { logger, lines }
}

test('a payload, a header and an error text that contain the service key or the SMTP password appear nowhere in logs', () => {
  for (const pretty of [false, true]) {
    const { logger, lines } = collect([key, password], pretty)
    for (const secret of [key, password]) {
      const basic = (user: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
      const url = new URL('smtp://me@mail.example.com')
      url.password = secret
      const cause = new Error(`refused ${url} ${encodeURIComponent(secret)}`)
      const error = Object.assign(new Error(`login with ${secret} failed`, { cause }), { code: secret })
      logger.info({ payload: { nested: [{ deep: `x${secret}y`, [secret]: 1 }] } }, 'a message')
      logger.info({ headers: { authorization: basic('a'), other: basic('ab'), third: basic('abc') } })
      logger.error(error, `failed: ${error.message}`)
      logger.child({ token: secret }).warn('%s', JSON.stringify({ inner: JSON.stringify({ secret }) }))
      logger.info({ query: new URLSearchParams({ secret }).toString() })
    }
    const output = lines.join('')
    expect(output.match(/redacted/g)?.length).toBeGreaterThan(15)
    for (const secret of [key, password]) {
      const forms = [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        encodeURIComponent(secret).toLowerCase(),
        Buffer.from(secret).toString('base64').slice(0, -4),
        // The tail alone would be enough to guess the rest.
        secret.slice(-8),
      ]
      for (const form of forms) expect(output).not.toContain(form)
      for (const user of ['a', 'ab', 'abc'])
        expect(output).not.toContain(Buffer.from(`${user}:${secret}`).toString('base64').slice(6, 20))
    }
  }
})

test('a line stays JSON, whatever the secret is', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 4, maxLength: 30 }), fc.jsonValue(), (secret, value) => {
      const { line } = createRedactor([secret])
      const dirty = JSON.stringify({ time: 1763856123456, level: 'info', value, text: `<${secret}>` })
      const clean = line(`${dirty}\n`)
      const parsed: { text: string } = JSON.parse(clean)
      if (!REDACTED.includes(secret)) expect(parsed.text.includes(secret)).toBe(false)
    }),
  )
})

test('a secret of digits does not break numbers', () => {
  const { logger, lines } = collect(['123456'])
  logger.info({ elapsed: 91234560, text: 'a123456b' }, 'hello')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ elapsed: REDACTED, text: `a${REDACTED}b`, msg: 'hello' })
})

test('what libraries hang onto errors is not logged: rows, parameters, answers', () => {
  const { logger, lines } = collect([])
  const error = Object.assign(new Error('duplicate key'), {
    code: '23505',
    detail: 'Key (mail)=(payload@example.com) already exists.',
    parameters: ['payload'],
    response: { body: 'payload' },
  })
  logger.error({ err: error }, 'failed')
  expect(lines[0]).not.toContain('payload')
  expect(JSON.parse(lines[0] ?? '').err).toMatchObject({
    type: 'Error',
    message: 'duplicate key',
    code: '23505',
  })
})

test('without secrets, and with empty ones, lines pass unchanged', () => {
  const line = '{"a":"b"}\n'
  expect(createRedactor([]).line(line)).toBe(line)
  expect(createRedactor(['', 'a']).line(line)).toBe(line)
})

test('levels below the chosen one are silent', () => {
  const { logger, lines } = collect([])
  logger.level = 'warn'
  logger.info('no')
  logger.warn('yes')
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['yes'])
})
