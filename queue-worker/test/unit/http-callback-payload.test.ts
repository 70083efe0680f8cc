import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { httpCallbackPayload } from '../../src/processors/http-callback-payload.ts'

const schema = httpCallbackPayload(loadConfig({}).callbacks)
const url = 'https://example.com/hook'
const problemsOf = (payload: unknown, rules = schema) => {
  const { error } = rules.safeParse(payload)
  return error === undefined ? '' : z.prettifyError(error)
}

test('an object or a list is sent as JSON, a string as it is, with a type that can be overridden', () => {
  expect(schema.parse({ url, data: { a: 1, b: [null] } })).toEqual({
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1,"b":[null]}',
    timeoutMs: 30_000,
  })
  expect(schema.parse({ url, data: [1, 'a'] }).body).toBe('[1,"a"]')
  const odd = '{"b":{"__proto__":1},"__proto__":{"a":1},"10":1,"a":[{}]}'
  expect(schema.parse({ url, data: JSON.parse(odd) }).body).toBe(JSON.stringify(JSON.parse(odd)))
  expect(schema.parse({ url, data: '{"raw": 1}' })).toMatchObject({
    body: '{"raw": 1}',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  })
  expect(schema.parse({ url, data: '<a/>', headers: { 'Content-Type': 'text/xml' } })).toMatchObject({
    body: '<a/>',
    headers: { 'content-type': 'text/xml' },
  })
  expect(schema.parse({ url, data: '' }).body).toBe('')
})

test('what is left out or null has its default; without data there is no body', () => {
  expect(schema.parse({ url, data: null, method: null, headers: null, timeoutMs: null })).toEqual({
    url,
    method: 'POST',
    headers: {},
    body: undefined,
    timeoutMs: 30_000,
  })
})

test('methods and headers are those of the settings, however they are written', () => {
  expect(
    schema.parse({ url, method: 'put', headers: { 'X-Tenant': 'a', AUTHORIZATION: 'Bearer x' } }),
  ).toMatchObject({
    method: 'PUT',
    headers: { 'x-tenant': 'a', authorization: 'Bearer x' },
  })
  const config = loadConfig({ HTTP_CALLBACKS_METHODS: 'get', HTTP_CALLBACKS_HEADERS: 'Tenant' })
  const strict = httpCallbackPayload(config.callbacks)
  expect(strict.parse({ url, method: 'GET', headers: { tenant: 'a' } }).method).toBe('GET')
  expect(problemsOf({ url, method: 'PUT' }, strict)).toMatch(/HTTP_CALLBACKS_METHODS \(POST, GET\)/)
  expect(problemsOf({ url, headers: { 'X-A': 'a' } }, strict)).toMatch(/HTTP_CALLBACKS_HEADERS \(tenant\)/)
  expect(problemsOf({ url, method: 'GET', data: {} }, strict)).toMatch(/a GET has no data/)
})

test.each([
  ['no object', 'hello', /a callback is a JSON object such as/],
  ['no url', { data: {} }, /url must be a string/],
  ['half a url', { url: 'example.com/hook' }, /the url is none; give it whole/],
  ['another scheme', { url: 'ftp://example.com/' }, /begins with ftp:; only http:\/\/ and https:\/\//],
  ['a password in the url', { url: 'https://me:pw@example.com/' }, /user or password.*Authorization header/],
  ['a url without end', { url: `https://example.com/${'x'.repeat(8000)}` }, /longer than 8000/],
  ['a number as data', { url, data: 5 }, /data is an object or a list/],
  [
    'an unknown key',
    { url, body: 'x' },
    /unknown key "body"; known are: url, data, method, headers, timeoutMs/,
  ],
  ['a method that is not allowed', { url, method: 'GET' }, /not one of HTTP_CALLBACKS_METHODS \(POST, PUT/],
  ['a method that never is', { url, method: 'CONNECT' }, /not one of HTTP_CALLBACKS_METHODS/],
  ['a header that is not allowed', { url, headers: { Cookie: 'a' } }, /not one of HTTP_CALLBACKS_HEADERS/],
  ['the host', { url, headers: { Host: 'internal' } }, /cannot be set: it is the worker’s own/],
  ['the length', { url, headers: { 'Content-Length': '1' } }, /cannot be set/],
  ['a hop-by-hop header', { url, headers: { 'Transfer-Encoding': 'chunked' } }, /cannot be set/],
  ['who is asking', { url, headers: { 'X-Forwarded-For': '127.0.0.1' } }, /cannot be set/],
  ['a signature', { url, headers: { 'Webhook-Signature': 'v1,x' } }, /cannot be set/],
  ['a broken header name', { url, headers: { 'X-A: b\r\nX-B': 'a' } }, /is not a header name/],
  ['a line break in a header', { url, headers: { 'X-A': 'a\r\nX-B: b' } }, /printable ASCII/],
  ['letters that headers do not know', { url, headers: { 'X-A': 'ä' } }, /printable ASCII/],
  ['a header given twice', { url, headers: { 'X-A': 'a', 'x-a': 'b' } }, /is given twice/],
  ['no time at all', { url, timeoutMs: 0 }, /timeoutMs is less than 100/],
  ['too much time', { url, timeoutMs: 300_001 }, /timeoutMs is more than 300000/],
  ['half a millisecond', { url, timeoutMs: 1000.5 }, /whole number of milliseconds/],
])('%s is refused in words that help', (_what, payload, problem) => {
  expect(problemsOf(payload)).toMatch(problem)
})

test('every example of the manual is a valid message', () => {
  const manual = readFileSync(new URL('../../../docs/processors/http-callbacks.md', import.meta.url), 'utf8')
  const examples = [...manual.matchAll(/pgmq\.send\('http_callbacks', '([\s\S]*?)'::jsonb/g)]
  expect(examples.length).toBeGreaterThanOrEqual(3)
  for (const [, json = ''] of examples) expect(problemsOf(JSON.parse(json.replaceAll("''", "'")))).toBe('')
})
