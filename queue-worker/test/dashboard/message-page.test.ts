/** The page of a message in a real browser: what it says, what happened to it, what it led to. */
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'
import { archive, died, failed, live } from '../support/dashboard-scene.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const EVIL = '</pre><img src=x onerror="document.title=1"><script>alert(1)</script>'
const STACK = `MailError: the mailbox is busy ${EVIL}\n    at deliver (services/email.ts:148:13)`
const payload = z.object({ to: z.string(), code: z.string().meta({ sensitive: true }).optional() })

describeInBrowser('the page of a message', (browser) => {
  const sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
  const look = createInspector(sql)
  const queue = uniqueQueue()
  const unmasked: object[] = []
  let dashboard: TestDashboard
  let viewers: TestDashboard
  let [lived, dead, redriven, effective] = ['', '', '', '']
  let originKey = ''

  beforeAll(async () => {
    const ground = { processors: [{ queue, payload }], unmasked: (what: object) => void unmasked.push(what) }
    dashboard = await openDashboard({ ground })
    viewers = await openDashboard({ ground, role: 'viewer' })
    const { queue: typed } = dashboard
    await typed.ensureQueue(queue, { notify: false })
    ;[lived = '', dead = '', redriven = '', effective = ''] = await live(typed, queue, [
      {
        payload: { to: EVIL, code: 'VERYSECRET', big: 'x'.repeat(20_000) },
        outcomes: [failed(STACK), { kind: 'snooze', delayMs: 0 }, archive],
        send: { headers: { trace: 'abc', authorization: 'Bearer VERYSECRET' }, idempotencyKey: 'once' },
      },
      {
        payload: { to: 'b' },
        outcomes: [failed('busy'), died('there is no such mailbox', 'unrecoverable', 2)],
      },
      { payload: { to: 'c' }, outcomes: [died('it was too early')] },
      { payload: { to: 'd', n: 12345678 }, outcomes: ['hold'] },
    ])
    const [letter] = (await look.deadLetters(queue)).filter(
      (one) => one.message.dead_letter.msg_id === Number(redriven),
    )
    await typed.redrive(queue, { msgIds: [letter?.msg_id ?? ''] })
    const found = await typed.inspect(queue, effective)
    originKey = found.state === 'unknown' ? '' : found.originKey
    await typed.ledgerStart(originKey, 'ask the provider', false, 'run')
    await typed.ledgerFinish(originKey, 'ask the provider', { status: 'paid', client_secret: 'VERYSECRET' })
    await typed.ledgerStart(originKey, 'tell the shop', false, 'run')
    await sql`insert into public.payments (id, reference, amount, currency, status) values (queue_worker.payment_made_by(${originKey}), 'order-7', 1250, 'EUR', 'succeeded')`
    await sql`insert into public.reports (origin_key, report, params, format, title, time_zone, state, rows, bytes, location, run)
      values (${originKey}, 'daily_volume', '{}', 'pdf', 'Daily volume', 'UTC', 'done', 12, 3400, 'reports/daily.pdf', 'x')`
  })
  afterAll(async () => {
    await sql`delete from public.payments where id = queue_worker.payment_made_by(${originKey})`
    await sql`delete from public.reports where origin_key = ${originKey}`
    await Promise.all([dashboard.close(), viewers.close()])
    await look.drop(queue)
    await sql.end()
  })

  const at = (msgId: string, name = queue) => `${dashboard.url}/queues/${name}/messages/${msgId}`

  test('tells its life in order, each failure with its stack and worker', async () => {
    const { page, troubles } = await browser.open(at(lived))
    const events = page.locator('.life li')
    expect(await events.locator('strong').allInnerTexts()).toEqual([
      ...['Sent', 'Delivery 1 failed', 'Delivery 2 was put off', 'Delivery 3 succeeded'],
    ])
    expect(await events.nth(0).innerText()).toContain('idempotency key once')
    expect(await events.nth(1).innerText()).toContain('by worker-1')
    await events.nth(1).locator('summary').click()
    expect(await events.nth(1).locator('pre').innerText()).toBe(STACK)
    const outcomes = await look.outcomes(queue)
    expect(outcomes.filter((one) => one.msg_id === lived).map(({ outcome }) => outcome)).toEqual([
      'retry',
      'snooze',
    ])
    expect(await page.locator('h1').innerText()).toContain('archived')
    // All that was written to do harm is text.
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(troubles).toEqual([])
    expect(dashboard.logged).toEqual([])
  })

  test('hides what is sensitive, from headers and steps too, until an operator asks for it', async () => {
    const { page } = await browser.open(at(lived))
    expect(await page.content()).not.toContain('VERYSECRET')
    expect(await page.locator('#payload').innerText()).toContain('"code": "••••••"')
    expect(await page.locator('#payload').innerText()).toContain('20.0 kB in all')
    expect(unmasked).toEqual([])
    await page.getByRole('link', { name: 'Show what is hidden' }).click()
    expect(await page.locator('#payload').innerText()).toContain('"code": "VERYSECRET"')
    expect(unmasked).toEqual([{ by: 'local', queue, msgId: lived }])
    await page.getByRole('link', { name: 'Hide what is sensitive' }).click()
    expect(await page.content()).not.toContain('VERYSECRET')
    const viewed = await browser.open(`${viewers.url}/queues/${queue}/messages/${lived}`)
    expect(await viewed.page.getByRole('link', { name: 'Show what is hidden' }).count()).toBe(0)
    expect(
      (await page.request.get(`${viewers.url}/queues/${queue}/messages/${lived}?show=all`)).status(),
    ).toBe(403)
    await page.goto(at(effective))
    expect(await page.content()).not.toContain('VERYSECRET')
  })

  test('says why it died, by its own id and by that of its letter', async () => {
    const [letter] = (await look.deadLetters(queue)).filter(
      (one) => one.message.dead_letter.msg_id === Number(dead),
    )
    for (const url of [at(dead), at(letter?.msg_id ?? '', `${queue}_dlq`)]) {
      const { page, troubles } = await browser.open(url)
      expect(await page.locator('h1').innerText()).toContain(`Message ${dead}`)
      const notice = await page.locator('.notice.bad').innerText()
      expect(notice).toContain('Dead: unrecoverable')
      expect(notice).toContain('there is no such mailbox')
      expect(await page.locator('.life').innerText()).toContain(`Moved to ${queue}_dlq as ${letter?.msg_id}`)
      expect(troubles).toEqual([])
    }
  })

  test('leads from a redriven message to what it was redriven as', async () => {
    const { page } = await browser.open(at(redriven))
    await page.locator('.life').getByRole('link').click()
    await page.waitForURL((url) => url.pathname !== new URL(at(redriven)).pathname)
    const shown = await page.locator('h1').innerText()
    expect((await look.messages(queue)).map(({ msg_id }) => `Message ${msg_id}`)).toContain(
      shown.match(/Message \d+/)?.[0],
    )
  })

  test('shows its steps, its report and its payment', async () => {
    const { page, troubles } = await browser.open(at(effective))
    const steps = page.getByRole('table', { name: 'Steps' }).locator('tbody tr')
    expect(await steps.nth(0).innerText()).toMatch(/ask the provider\s+done[\s\S]+"status": "paid"/)
    expect(await steps.nth(1).innerText()).toMatch(/tell the shop\s+started/)
    expect(await page.getByRole('table', { name: 'Payments' }).innerText()).toMatch(
      /order-7\s+succeeded\s+12\.50 EUR/,
    )
    expect(await page.getByRole('heading', { name: /Report Daily volume/ }).innerText()).toContain('done')
    // There is no page of mails here, and none of files.
    expect(await page.locator('main a[href*="/mails"], main a[href*="/reports/"]').count()).toBe(0)
    expect(troubles).toEqual([])
  })

  test('copies its id and its payload', async () => {
    const { page } = await browser.open(at(dead))
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const clipboard = () => page.evaluate('navigator.clipboard.readText()')
    await page.getByRole('button', { name: 'Copy the id' }).press('Enter')
    await page.getByText('Copied').waitFor()
    expect(await clipboard()).toBe(dead)
    await page.getByRole('button', { name: 'Copy', exact: true }).click()
    await page.getByText('Copied').nth(1).waitFor()
    expect(JSON.parse(String(await clipboard()))).toEqual({ to: 'b' })
  })

  test.each(['light', 'dark'] as const)('can be read by all, in %s, on a phone as well', async (scheme) => {
    const { page } = await browser.open(at(lived), { scheme, width: 390 })
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    await page.goto(at(effective))
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
  })

  test.each(['999999999', 'x', '1'.repeat(30)])('%s is no message of it', async (msgId) => {
    const answer = await fetch(at(msgId))
    expect(answer.status).toBe(404)
    expect(await answer.text()).toContain('Nothing is known of message')
    expect((await fetch(at('1', 'no_such_queue'))).status).toBe(404)
  })
})
