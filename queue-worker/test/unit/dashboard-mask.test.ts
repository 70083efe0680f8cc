/** What of a payload is shown: sensitive fields never are, wherever the schema marks them and however the payload was cut. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { createMask, HIDDEN, isHidden } from '../../src/dashboard/mask.ts'
import { maskOf, maskOrAll } from '../../src/dashboard/masks.ts'
import { preview } from '../../src/dashboard/preview.ts'
import { emailPayload } from '../../src/processors/email-payload.ts'
import { httpCallbackPayload } from '../../src/processors/http-callback-payload.ts'
import { paymentsPayload } from '../../src/processors/payments-payload.ts'
import { fieldsOf } from '../../src/processors/sensitive.ts'

const secret = z.string().meta({ sensitive: true })
const maskFor = (schema: z.ZodType) => createMask(fieldsOf(schema))

describe('a field that its schema marks is hidden', () => {
  type Tree = { code?: string | undefined; below?: Tree[] | undefined }
  const tree: z.ZodType<Tree> = z.lazy(() =>
    z.object({ code: secret.optional(), below: z.array(tree).optional() }),
  )
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['at the top', z.object({ code: secret, n: z.number() }), { code: 'x', n: 1 }, { code: HIDDEN, n: 1 }],
    [
      'optional, nullable, with a default',
      z.object({ code: secret.nullish().default('') }),
      { code: 'x' },
      { code: HIDDEN },
    ],
    [
      'transformed and refined',
      z.object({ code: secret.refine((one) => one !== '').transform(Number) }),
      { code: '1' },
      { code: HIDDEN },
    ],
    [
      'in a list',
      z.object({ all: z.array(z.object({ code: secret })) }),
      { all: [{ code: 'x' }] },
      { all: [{ code: HIDDEN }] },
    ],
    ['in a tuple', z.tuple([z.string(), secret]), ['a', 'b'], ['a', HIDDEN]],
    ['in a record', z.record(z.string(), secret), { a: 'b' }, { a: HIDDEN }],
    [
      'in one of many shapes',
      z.union([z.object({ code: secret }), z.object({ n: z.number() })]),
      { code: 1 },
      { code: HIDDEN },
    ],
    [
      'in an intersection',
      z.intersection(z.object({ code: secret }), z.looseObject({})),
      { code: 1 },
      { code: HIDDEN },
    ],
    [
      'that holds more',
      z.object({ code: z.looseObject({}).meta({ sensitive: true }) }),
      { code: { a: 1 } },
      { code: HIDDEN },
    ],
    ['in itself', tree, { below: [{ below: [{ code: 'x' }] }] }, { below: [{ below: [{ code: HIDDEN }] }] }],
    [
      'behind a preprocess',
      z.preprocess((one) => one, z.object({ code: secret })),
      { code: 'x' },
      { code: HIDDEN },
    ],
    ['the whole of it', secret, 'x', HIDDEN],
  ])('%s', (_, schema, given, shown) => {
    expect(maskFor(schema)(given)).toEqual(shown)
  })
})

test('a name that says it is hidden too, unless its schema says that it is none', () => {
  const mask = createMask()
  const given = {
    user: 'a',
    password: 'p',
    accessToken: 't',
    'X-Api-Key': 'k',
    tokens: 3,
    nested: [{ client_secret: 's' }],
    Cookie: 'c',
  }
  expect(mask(given)).toEqual({
    ...{ user: 'a', password: HIDDEN, accessToken: HIDDEN, 'X-Api-Key': HIDDEN, tokens: 3 },
    ...{ nested: [{ client_secret: HIDDEN }], Cookie: HIDDEN },
  })
  const pageToken = z.object({ page_token: z.string().meta({ sensitive: false }) })
  expect(maskFor(pageToken)({ page_token: 'p3' })).toEqual({ page_token: 'p3' })
})

test('a payload that means harm does none', () => {
  const deep = JSON.parse(`${'['.repeat(5000)}1${']'.repeat(5000)}`)
  expect(() => createMask()(deep)).not.toThrow()
  const proto = createMask()(JSON.parse('{"__proto__": {"token": 1}, "constructor": 2}'))
  expect(JSON.stringify(proto)).toBe('{"__proto__":{},"constructor":2}')
})

test('a schema that cannot be read hides all, and so does a queue without a processor', () => {
  // JSON Schema has no way to name two things the same.
  const strange = z.object({ a: z.string().meta({ id: 'same' }), b: z.number().meta({ id: 'same' }) })
  expect(() => z.toJSONSchema(strange)).toThrow()
  expect(maskFor(strange)({ a: 1 })).toBe(HIDDEN)
  const ground = {
    processors: [{ queue: 'known', payload: z.object({}) }],
    ask: () => Promise.reject(new Error()),
  }
  expect(maskOf(ground, 'unknown')).toBeNull()
  expect(maskOrAll(ground, 'unknown')({ a: 1 })).toBe(HIDDEN)
  expect(maskOrAll(ground, 'known')({ a: 1 })).toEqual({ a: 1 })
})

test('our own payloads hide what mails say, headers of callbacks, and means of payment', () => {
  const config = loadConfig({})
  const mail = {
    to: 'a@b.c',
    subject: 's',
    html: 'h',
    variables: { url: 'u' },
    attachments: [{ filename: 'f', content: 'c' }],
  }
  expect(maskFor(emailPayload(config.email))(mail)).toEqual({
    ...{ to: 'a@b.c', subject: 's', html: HIDDEN, variables: HIDDEN },
    attachments: [{ filename: 'f', content: HIDDEN }],
  })
  const callback = { url: 'https://x.example', headers: { 'x-key': 'k' }, data: { id: 1 } }
  expect(maskFor(httpCallbackPayload(config.callbacks))(callback)).toEqual({ ...callback, headers: HIDDEN })
  const payment = { operation: 'create', amount: 5, payment_method: 'pm_1', receipt: { email: 'e' } }
  expect(maskFor(paymentsPayload)(payment)).toEqual({ ...payment, payment_method: HIDDEN, receipt: HIDDEN })
  const told = { operation: 'notification', provider: 'stripe', payload: '{}', signature: 's' }
  expect(maskFor(paymentsPayload)(told)).toEqual({ ...told, payload: HIDDEN, signature: HIDDEN })
})

test('what is hidden is known before anybody searches for it', () => {
  const mask = maskFor(z.object({ a: z.object({ code: secret }), list: z.array(z.object({ code: secret })) }))
  expect(isHidden(mask, ['a', 'code'])).toBe(true)
  for (const index of ['0', '-1', '+0', ' 1'])
    expect(isHidden(mask, ['list', index, 'code']), index).toBe(true)
  expect(isHidden(mask, ['a', 'other'])).toBe(false)
})

describe('the beginning of a payload', () => {
  const text = (html: string) => html.replace(/<[^>]*>/g, '').replaceAll('&quot;', '"')
  const mask = maskFor(z.looseObject({ code: secret }))

  test('is masked wherever it was cut', () => {
    const whole = JSON.stringify({
      a: [1, { b: 'two "quoted" \\ \u00e9\u2028' }],
      code: 'VERYSECRET',
      z: null,
      t: true,
      n: -1.5e3,
    })
    for (let length = 0; length <= whole.length; length++) {
      const shown = text(preview(whole.slice(0, length), mask).html)
      expect(shown, whole.slice(0, length)).not.toMatch(/VER|SECRET/)
    }
    expect(text(preview(whole, mask).html)).toContain('"code": "••••••", "z": null, "t": true, "n": -1500}')
  })

  test('is shown as far as it goes', () => {
    const { html } = preview('{"to": "a@b.c", "items": [{"n": 1, "name": "lo', mask)
    expect(text(html)).toBe('{"to": "a@b.c", "items": [{"n": 1, "name": "lo…"}]} …')
    expect(text(preview('{"to": "a@b.c", "ite', mask).html)).toBe('{"to": "a@b.c"} …')
    expect(text(preview('no JSON', mask).html)).toBe('not shown')
  })
})
