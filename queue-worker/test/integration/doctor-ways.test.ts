/** The way to the database, other systems and workers, each broken for real: see doctor.test.ts. */
import { expect, test } from 'vitest'
import { visit } from '../support/doctor.ts'
import { doctorBench } from '../support/doctor-bench.ts'
import { startReceiver } from '../support/receiver.ts'
import { STRIPE_WEBHOOK_SECRET } from '../support/stripe-server.ts'
import { connection } from './doctor-cases/connection.ts'
import { holdDoctorTo } from './doctor-cases/hold.ts'
import { others, workers } from './doctor-cases/others.ts'

const bench = doctorBench()

holdDoctorTo(bench, [...connection, ...others, ...workers])

test('a payment provider that asks for patience has taken our key', async () => {
  const provider = await startReceiver((_request, response) => {
    response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '7' })
    response.end(
      '{"error": {"type": "invalid_request_error", "message": "Too many requests"}, "description": "Too many requests"}',
    )
  })
  bench.later(provider.stop)
  const keys = {
    ...{ PAYMENTS_PROVIDER: 'stripe', STRIPE_API_URL: provider.origin, YOOKASSA_API_URL: provider.origin },
    ...{ STRIPE_SECRET_KEY: 'sk_test_0123456789', STRIPE_WEBHOOK_SECRET },
    ...{ YOOKASSA_SHOP_ID: '123456', YOOKASSA_SECRET_KEY: 'test_0123456789' },
  }
  const seen = await visit(bench.cwd, { ...bench.env('rpc'), ...keys })
  const found = seen.examination.checks.find(({ check }) => check === 'payment-providers')?.findings ?? []
  expect(found.map(({ id, what }) => `${id}: ${what}`)).toEqual([
    'provider_ok: stripe takes our key',
    'provider_ok: yookassa takes our key',
  ])
  expect(provider.received).toHaveLength(2)
})
