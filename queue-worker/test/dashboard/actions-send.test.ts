/** Sending test messages and running schedules from the dashboard, and what the database holds afterwards. */
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { variantsOf } from '../../src/dashboard/payload-fields.ts'
import { amqpPayload } from '../../src/processors/amqp-payload.ts'
import { emailPayload } from '../../src/processors/email-payload.ts'
import { EXAMPLES } from '../../src/processors/examples.ts'
import { paymentsPayload } from '../../src/processors/payments-payload.ts'
import { reportPayload } from '../../src/processors/report-payload.ts'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'
import { createInspector, type Inspector, uniqueQueue } from '../support/queues.ts'

const payload = z.strictObject({
  to: z.string().max(50).describe('Whom it is for.'),
  text: z.string().optional(),
  copies: z.int('copies is a whole number').min(1).max(9, 'copies is more than 9').optional(),
  urgent: z.boolean().optional(),
  colour: z.enum(['red', 'green']),
  more: z.object({ deep: z.array(z.number()) }).optional(),
})

test.each([
  ['email_queue', emailPayload({ maxAttachmentBytes: 1000 }), ['']],
  ['reports', reportPayload, ['']],
  ['amqp', amqpPayload, ['']],
  ['payments', paymentsPayload, ['create', 'capture', 'cancel', 'refund', 'sync', 'notification']],
] as const)('the schema of %s makes a form', (queue, schema, names) => {
  const variants = variantsOf(schema)
  expect(variants.map(({ name }) => name)).toEqual(names)
  const known = variants[0]?.fields.map(({ name }) => name)
  expect(known).toEqual(expect.arrayContaining(Object.keys(JSON.parse(EXAMPLES[queue]))))
})

test.each([
  ['is free', z.unknown()],
  ['JSON Schema cannot say', z.custom<string>(() => true)],
  ['is a list', z.array(z.string())],
  ['has kinds that nothing tells apart', z.union([z.object({ a: z.string() }), z.object({ b: z.string() })])],
])('what %s is written as JSON', (_what, schema) => {
  expect(variantsOf(schema)).toEqual([])
})

describeInBrowser('sending from the dashboard', (browser) => {
  let dashboard: TestDashboard
  let sql: Sql
  let look: Inspector
  const name = uniqueQueue()

  beforeAll(async () => {
    dashboard = await openDashboard({ ground: { processors: [{ queue: name, payload }] } })
    sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
    look = createInspector(sql)
    await dashboard.queue.ensureQueue(name, { notify: false })
  })
  beforeEach(async () => {
    await sql`delete from ${look.table('q', name)} where true`
  })
  afterAll(async () => {
    await sql`delete from queue_worker.schedules where queue = ${name}`
    await look.drop(name)
    await Promise.all([dashboard.close(), sql.end()])
  })
  const sent = async () => (await look.messages(name)).map(({ message }) => message)

  test.each([true, false])(
    'each part of the schema is a field; what is wrong is told beside it (scripts: %s)',
    async (scripts) => {
      const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}/send`, { scripts })
      const field = (label: string) => page.getByLabel(label, { exact: false })
      await page.getByText('4 more fields').click()
      await field('to').fill('ann')
      await field('text').fill('two\nlines')
      await field('copies').fill('12')
      await field('urgent').selectOption('true')
      await field('colour').selectOption('green')
      await field('more').fill('{"deep": [1, 2')
      await field('Delay').fill('soon')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByRole('alert').getByText('Nothing was sent').waitFor()
      expect(await page.locator('.field .bad').allInnerTexts()).toEqual([
        expect.stringContaining('is no JSON'),
        expect.stringContaining('give a span'),
      ])
      await field('more').fill('{"deep": [1, "2"]}')
      await field('Delay').fill('1h')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByText('copies is more than 9').waitFor()
      expect(await field('copies').getAttribute('aria-invalid')).toBe('true')
      expect(await page.locator('.field .bad').allInnerTexts()).toHaveLength(2)
      if (scripts) expect(await findings(page)).toEqual([])
      // Nothing that was typed is lost.
      expect(await field('to').inputValue()).toBe('ann')
      expect(await field('text').inputValue()).toBe('two\nlines')
      expect(await field('colour').inputValue()).toBe('green')
      expect(await sent()).toEqual([])
      await field('copies').fill('3')
      await field('more').fill('{"deep": [1, 2]}')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByText(`A message was sent to ${name}.`).waitFor()
      expect(await sent()).toEqual([
        { to: 'ann', text: 'two\nlines', copies: 3, urgent: true, colour: 'green', more: { deep: [1, 2] } },
      ])
      const [row] = await look.messages(name)
      expect(Number(row?.vt) - Number(row?.enqueued_at)).toBeGreaterThan(3_500_000)
      await page.getByRole('button', { name: 'Undo' }).click()
      await page.getByText(`Undone: the message was taken out of ${name}.`).waitFor()
      expect(await sent()).toEqual([])
      expect(troubles.filter((one) => !one.includes('422'))).toEqual([])
    },
  )

  test('a form that is sent twice is one message', async () => {
    const { page } = await browser.open(`${dashboard.url}/queues/${name}/send`)
    await page.getByLabel('to', { exact: false }).fill('ben')
    const form: Record<string, string> = await page.evaluate(
      "Object.fromEntries(new FormData(document.querySelector('form.send')))",
    )
    const post = () =>
      fetch(`${dashboard.url}/queues/${name}/send`, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams(form),
      })
    const answers = await Promise.all([post(), post()])
    expect(answers.map(({ status }) => status)).toEqual([303, 303])
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('before, and not once more').waitFor()
    expect(await sent()).toEqual([{ to: 'ben', colour: 'red' }])
  })

  test('a queue without a processor here takes JSON, and what is no JSON is told', async () => {
    const other = uniqueQueue()
    await dashboard.queue.ensureQueue(other, { notify: false })
    const { page } = await browser.open(`${dashboard.url}/queues/${other}/send`, {
      width: 390,
      scheme: 'dark',
    })
    await page.getByText('no processor for the queue').waitFor()
    await page.getByLabel('Message').fill('{"a": ')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('is no JSON').waitFor()
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    expect(await page.getByLabel('Message').inputValue()).toBe('{"a": ')
    await page.getByLabel('Message').fill('{"a": [null]}')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText(`A message was sent to ${other}.`).waitFor()
    expect((await look.messages(other)).map(({ message }) => message)).toEqual([{ a: [null] }])
    await look.drop(other)
  })

  test('a schedule is run now, paused and resumed, and its runs are listed', async () => {
    const schedule = `night:${name}`
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${schedule}, '0 3 * * *', ${name}, '{"to": "cleo", "colour": "red"}')`
    const at = `${dashboard.url}/schedules/${encodeURIComponent(schedule)}`
    const { page, troubles } = await browser.open(at)
    await page.getByText('It has not run yet.').waitFor()
    await page.getByRole('button', { name: 'Run now' }).click()
    await page.getByText(`The schedule ${schedule} was run.`).waitFor()
    expect(await sent()).toEqual([{ to: 'cleo', colour: 'red' }])
    const [message] = await look.messages(name)
    await page
      .getByRole('row')
      .getByRole('link', { name: message?.msg_id ?? '-', exact: true })
      .waitFor()
    expect(await findings(page)).toEqual([])
    const isOn = async () =>
      (await sql`select enabled from queue_worker.schedules where name = ${schedule}`)[0]?.enabled
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText(`The schedule ${schedule} was paused.`).waitFor()
    expect(await isOn()).toBe(false)
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText('Undone: it is as it was before.').waitFor()
    expect(await isOn()).toBe(true)
    const rows =
      await sql`select action, by, count, undone_by from queue_worker.audit where target ->> 'name' = ${schedule} order by id`
    expect(rows).toEqual([
      { action: 'run_schedule', by: 'local', count: 1, undone_by: null },
      { action: 'enable_schedule', by: 'local', count: 1, undone_by: 'local' },
    ])
    await page.goto(`${dashboard.url}/schedules/nobody`)
    await page.getByRole('heading', { name: 'There is no schedule nobody.' }).waitFor()
    expect(troubles.filter((one) => !one.includes('404'))).toEqual([])
  })
})
