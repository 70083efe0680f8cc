/**
 * docs/processors/*.schema.json are what the schemas of our processors accept. They are made of them: after a change,
 * `npx vitest run queue-worker/test/unit/payload-schemas.test.ts -u` writes them anew.
 */
import { expect, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { emailPayload } from '../../src/processors/email-payload.ts'
import { httpCallbackPayload } from '../../src/processors/http-callback-payload.ts'
import { paymentsPayload } from '../../src/processors/payments-payload.ts'

const schemas: [name: string, schema: z.ZodType][] = [
  ['email', emailPayload(loadConfig({}).email)],
  ['http-callbacks', httpCallbackPayload(loadConfig({}).callbacks)],
  ['payments', paymentsPayload],
]

test.each(schemas)('docs/processors/%s.schema.json is what the processor accepts', async (name, schema) => {
  const json = JSON.stringify(z.toJSONSchema(schema, { io: 'input' }), null, 2)
  await expect(`${json}\n`).toMatchFileSnapshot(`../../../docs/processors/${name}.schema.json`)
})
