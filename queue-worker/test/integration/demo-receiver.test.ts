/** The demo's receiver of callbacks, against the library that receivers use: what it calls verified is. */
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DemoReceiver, startDemoReceiver } from '../../src/commands/demo-receiver.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
let receiver: DemoReceiver
beforeAll(async () => {
  receiver = await startDemoReceiver([SECRET])
})
afterAll(() => receiver.close())

async function post(url: string, id: string, body: string, signed = body): Promise<number> {
  const at = new Date()
  const answer = await fetch(url, {
    method: 'POST',
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign(id, at, signed),
    },
  })
  return answer.status
}

test('what is signed is verified, and answered', async () => {
  expect(await post(receiver.url, 'msg_1', '{"order":1}')).toBe(200)
  expect(receiver.heard('msg_1')).toEqual([{ status: 200, verified: true }])
})

test('what is forged, or signed by nobody, is not', async () => {
  expect(await post(receiver.url, 'msg_2', '{"order":2}', '{"order":1}')).toBe(401)
  expect((await fetch(receiver.url, { method: 'POST', headers: { 'webhook-id': 'msg_2' } })).status).toBe(401)
  expect(receiver.heard('msg_2')).toEqual([
    { status: 401, verified: false },
    { status: 401, verified: false },
  ])
})

test('where it is busy, it is so once for each callback', async () => {
  expect(await post(receiver.busyUrl, 'msg_3', '1')).toBe(500)
  expect(await post(receiver.busyUrl, 'msg_4', '1')).toBe(500)
  expect(await post(receiver.busyUrl, 'msg_3', '1')).toBe(200)
  expect(receiver.heard('msg_3').map(({ status }) => status)).toEqual([500, 200])
})
