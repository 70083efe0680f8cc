/** Who is let in by a bearer token, and what happens to who is not. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { createBearer } from '../../src/server/bearer.ts'
import { createGuesses } from '../../src/server/guesses.ts'

const RIGHT = 'a'.repeat(32)
const OTHER = 'b'.repeat(32)

function bench(tokens: readonly string[] = [RIGHT]) {
  let nowMs = 0
  let told = 0
  const guesses = createGuesses(
    () => void told++,
    () => nowMs,
  )
  const bearer = createBearer(tokens, guesses, 'a test')
  return {
    told: () => told,
    pass(ms: number) {
      nowMs += ms
    },
    try(authorization: string | undefined) {
      let head = { status: 0, headers: {} as Record<string, string> }
      let body = ''
      const response = {
        writeHead(status: number, headers: Record<string, string>) {
          head = { status, headers }
        },
        end(text: string) {
          body = text
        },
      }
      const request = { headers: authorization === undefined ? {} : { authorization } }
      const admitted = bearer.admits(
        request as unknown as IncomingMessage,
        response as unknown as ServerResponse,
      )
      return { admitted, body, ...head }
    },
  }
}

test('a right token passes, however the scheme is written; with two, both do', () => {
  const { try: tryIt } = bench([RIGHT, OTHER])
  for (const text of [`Bearer ${RIGHT}`, `bearer ${RIGHT}`, `BEARER  ${OTHER} `])
    expect(tryIt(text)).toMatchObject({ admitted: true, status: 0 })
})

test.each([
  undefined,
  '',
  'Bearer',
  'Bearer ',
  RIGHT,
  `Basic ${RIGHT}`,
  `Bearer ${RIGHT}x`,
  `Bearer ${RIGHT.slice(1)}`,
  `Bearer ${RIGHT.toUpperCase()}`,
  `Bearer ${OTHER}`,
  `Bearer ${RIGHT} ${RIGHT}`,
  `Bearer ${'x'.repeat(5000)}`,
])('%s does not, and the answer repeats nothing of it', (authorization) => {
  const { admitted, status, headers, body } = bench().try(authorization)
  expect([admitted, status]).toEqual([false, 401])
  expect(headers).toMatchObject({ 'www-authenticate': 'Bearer realm="queue-worker"', connection: 'close' })
  expect(body).not.toMatch(/aaa|bbb|xxx|AAA/)
})

test('wrong tokens are told so 30 times a minute, then 429 until the minute is over; the right one always passes', () => {
  const { try: tryIt, pass, told } = bench()
  const wrong = (times: number) => Array.from({ length: times }, () => tryIt(`Bearer ${OTHER}`).status)
  expect(wrong(31)).toEqual([...Array(30).fill(401), 429])
  pass(20_000)
  expect(tryIt(`Bearer ${OTHER}`)).toMatchObject({ status: 429, headers: { 'retry-after': '40' } })
  expect(tryIt(`Bearer ${RIGHT}`).admitted).toBe(true)
  expect(told()).toBe(1)
  pass(40_000)
  expect(wrong(1)).toEqual([401])
  expect(told()).toBe(2)
})
