/** The endpoint for notifications that docs/processors/payments.md shows, run as it stands there, with what Deno would give it. */
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { paymentsPayload } from '../../src/processors/payments-payload.ts'
import { openPayments, type PaymentsBench } from '../support/payments.ts'

type Endpoint = (request: Request) => Promise<Response>

let bench: PaymentsBench
let endpoint: Endpoint
beforeAll(async () => {
  bench = await openPayments('rpc')
  endpoint = await documented()
})
afterAll(() => bench.close())

/** Sends to this test's queue instead of `payments`, which is all that is changed. */
async function documented(): Promise<Endpoint> {
  const doc = await readFile(new URL('../../../docs/processors/payments.md', import.meta.url), 'utf8')
  const [, sample = ''] = /```ts\n([\s\S]+?)```/.exec(doc) ?? []
  const [line, code] = [/^import \{ createClient \} .+$/m, stripTypeScriptTypes(sample)]
  expect(code).toMatch(line)
  const body = code.replace(line, '').replace("queue: 'payments'", `queue: '${bench.queue}'`)
  const { url, secretKey } = inject('stack')
  const env = new Map([
    ['SUPABASE_URL', url],
    ['SUPABASE_SERVICE_ROLE_KEY', secretKey],
  ])
  let served: Endpoint | undefined
  const serve = (handler: Endpoint) => {
    served = handler
  }
  new Function('Deno', 'createClient', body)({ env, serve }, createClient)
  if (served === undefined) throw new Error('the sample serves nothing')
  return served
}

const post = (body: string | ReadableStream, headers: Record<string, string> = {}) =>
  endpoint(
    new Request('https://shop.example/hook', {
      method: 'POST',
      body,
      headers,
      duplex: 'half',
    } as RequestInit),
  )
const inQueue = async () => (await bench.look.messages(bench.queue)).map(({ message }) => message)

test('puts what came into the queue, unchanged', async () => {
  const body = '{"id": "evt_1",  "name": "Привет €"}'
  expect((await post(body, { 'stripe-signature': 't=1,v1=abc' })).status).toBe(200)
  const [message, ...more] = await inQueue()
  expect(more).toEqual([])
  expect(message).toEqual({
    operation: 'notification',
    provider: 'stripe',
    payload: body,
    signature: 't=1,v1=abc',
  })
  expect(paymentsPayload.safeParse(message).success).toBe(true)
})

test('takes in no more than a notification may be long, whatever its length is said to be', async () => {
  const before = await inQueue()
  let taken = 0
  const endless = () =>
    new ReadableStream({
      pull(controller) {
        taken += 1
        controller.enqueue(new Uint8Array(65_536))
      },
    })
  expect((await post('x'.repeat(300_000))).status).toBe(413)
  expect((await post(endless())).status).toBe(413)
  expect(taken).toBeLessThan(10)
  expect((await post('x', { 'content-length': '99999999' })).status).toBe(413)
  expect((await endpoint(new Request('https://shop.example/hook'))).status).toBe(405)
  expect(await inQueue()).toEqual(before)
})
