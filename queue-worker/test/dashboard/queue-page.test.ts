/** The page of a queue in a real browser: what it shows is what the database holds. */
import type { Page } from 'playwright-core'
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
import { archive, died, failed, type Life, live, past } from '../support/dashboard-scene.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const EVIL = '<img src=x onerror="document.title=1"><script>alert(1)</script>"\'`'
const PER_PAGE = 50
const READY = 130

const payload = z.object({
  customer: z.object({ name: z.string(), phone: z.string().meta({ sensitive: true }) }).optional(),
  n: z.number().optional(),
})

describeInBrowser('the page of a queue', (browser) => {
  const sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
  const look = createInspector(sql)
  const queue = uniqueQueue()
  const large = uniqueQueue()
  let dashboard: TestDashboard
  let viewers: TestDashboard

  beforeAll(async () => {
    const ground = { processors: [{ queue, payload }] }
    dashboard = await openDashboard({ ground })
    viewers = await openDashboard({ ground, role: 'viewer' })
    for (const name of [queue, large]) await dashboard.queue.ensureQueue(name, { notify: false })
    await past(sql, queue, { hours: 3, perMinute: 30 })
    await live(dashboard.queue, queue, lives())
  })
  afterAll(async () => {
    await Promise.all([dashboard.close(), viewers.close()])
    await sql`delete from queue_worker.stats where queue = ${queue}`
    await sql`delete from queue_worker.arrivals where queue = ${queue}`
    await look.drop(queue)
    await look.drop(large)
    await sql.end()
  })

  const open = (query = '', look: Parameters<typeof browser.open>[1] = {}, name = queue) =>
    browser.open(`${dashboard.url}/queues/${name}${query}`, look)
  const rows = (page: Page) => page.locator('.messages tbody tr')
  const idsOf = (page: Page) => page.locator('.messages tbody th').allInnerTexts()
  const drawn = (page: Page) => page.locator('#charts[data-drawn]').waitFor()

  test('has as many messages in each state as there are, and lists those', async () => {
    const { page, troubles } = await open()
    const counts = await page.getByRole('navigation', { name: 'State' }).getByRole('link').allInnerTexts()
    expect(counts.map((text) => text.replace(/\s+/g, ' '))).toEqual([
      'Ready 130',
      'In flight 2',
      'Delayed 3',
      'Retrying 4',
      'Dead 5',
      'Archived',
    ])
    for (const [state, table] of [
      ['dead', `${queue}_dlq`],
      ['archived', queue],
    ] as const) {
      await page.getByRole('link', { name: new RegExp(`^${state}`, 'i') }).click()
      const stored = state === 'dead' ? await look.messages(table) : await look.archived(table)
      expect((await idsOf(page)).toSorted()).toEqual(stored.map((one) => one.msg_id).toSorted())
    }
    await page.getByRole('link', { name: /^In flight/ }).click()
    expect(await rows(page).count()).toBe(2)
    expect(troubles).toEqual([])
    expect(dashboard.logged).toEqual([])
  })

  test('leads through all of them, page by page, and back', async () => {
    const { page } = await open()
    const seen = await idsOf(page)
    expect(seen).toHaveLength(PER_PAGE)
    await page.getByRole('link', { name: 'Next page' }).click()
    seen.push(...(await idsOf(page)))
    await page.getByRole('link', { name: 'Next page' }).click()
    seen.push(...(await idsOf(page)))
    expect(await page.getByRole('link', { name: 'Next page' }).count()).toBe(0)
    expect(new Set(seen).size).toBe(READY)
    await page.getByRole('link', { name: 'First page' }).click()
    expect(await idsOf(page)).toEqual(seen.slice(0, PER_PAGE))
  })

  test('draws what the stats say, tells it as a table, and to the keyboard', async () => {
    const { page, troubles } = await open('?period=6h')
    await drawn(page)
    for (const kind of ['throughput', 'trouble', 'run', 'wait'])
      expect(await inkOf(page, kind), kind).toBeGreaterThan(50)
    const [stored] =
      await sql`select sum(archived)::int as done, sum(retried)::int as failed, sum(dead)::int as dead from queue_worker.stats where queue = ${queue}`
    const answered = await page.request.get(`${dashboard.url}/queues/${queue}/history?period=6h`)
    const columns = (await answered.json()) as Record<'succeeded' | 'failed' | 'dead', number[]>
    const sum = (values: number[]) => values.reduce((all, one) => all + one, 0)
    expect({ done: sum(columns.succeeded), failed: sum(columns.failed), dead: sum(columns.dead) }).toEqual(
      stored,
    )
    const trouble = page.locator('[data-chart=trouble]')
    await trouble.getByText('As a table').click()
    const cells = await trouble.locator('tbody td:last-child').allInnerTexts()
    expect(sum(cells.map((text) => Number(text.replaceAll(',', ''))))).toBe(stored?.dead)
    const plot = page.locator('[data-chart=run] .plot')
    await plot.focus()
    await page.keyboard.press('End')
    await page.keyboard.press('ArrowLeft')
    expect(await page.locator('[data-chart=run] .legend').innerText()).toMatch(/mean .+ m?s[\s\S]+\d\d:\d\d/)
    expect(troubles).toEqual([])
  })

  test('stays what it is while it is brought up to date: charts, what was opened, and the list', async () => {
    const { page, troubles } = await open('?state=delayed')
    await drawn(page)
    await page.getByText('As a table').first().click()
    await page.evaluate(`document.querySelector('[data-chart=run] canvas').dataset.mine = 'yes'`)
    const [sent] = await dashboard.queue.send([{ queue, message: { n: 1 }, delaySeconds: 7200 }])
    await page.evaluate(`htmx.trigger(document.getElementById('main'), 'refresh')`)
    await page.getByRole('link', { name: sent?.msgId ?? '', exact: true }).waitFor()
    expect(await page.locator('[data-chart=run] canvas[data-mine=yes]').count()).toBe(1)
    expect(await page.locator('.chart details[open] table').count()).toBe(1)
    await sql`delete from ${look.table('q', queue)} where msg_id = ${sent?.msgId ?? ''}`
    expect(troubles).toEqual([])
  })

  test('groups errors, and each leads to its messages', async () => {
    const { page } = await open()
    const groups = page.locator('.errors tbody tr')
    const told = await groups.evaluateAll((all) =>
      all.map((row) => [row.querySelector('td')?.textContent, row.querySelector('a')?.textContent]),
    )
    expect(told).toContainEqual(['4', 'Busy n'])
    await page.getByRole('link', { name: 'Busy n' }).click()
    expect(await rows(page).count()).toBe(4)
    expect(new URL(page.url()).searchParams.get('state')).toBe('retrying')
    expect(new URL(page.url()).searchParams.get('error')).toBe('Busy')
  })

  test('finds messages by id, by field, by text, by reason and by time', async () => {
    const { page } = await open()
    await page.locator('.filter > summary').click()
    await page.getByLabel('Field of the payload').fill('customer.name')
    await page.getByLabel('is', { exact: true }).fill('Ann 7')
    await page.getByRole('button', { name: 'Filter' }).click()
    expect(await rows(page).count()).toBe(1)
    expect(await rows(page).innerText()).toContain('Ann 7')
    await page.getByRole('link', { name: 'Clear' }).click()
    expect(await rows(page).count()).toBe(PER_PAGE)
    await page.locator('.filter > summary').click()
    await page.getByLabel('Payload contains').fill('ANN 12')
    await page.getByRole('button', { name: 'Filter' }).click()
    expect(await rows(page).count()).toBe(11) // 12, 120 to 129
    await page.goto(`${dashboard.url}/queues/${queue}?state=dead`)
    await page.locator('.filter > summary').click()
    await page.getByLabel('Reason').selectOption('invalid_payload')
    await page.getByRole('button', { name: 'Filter' }).click()
    expect(await rows(page).count()).toBe(2)
    // The browser sits in Berlin; what it sends is the moment that was meant.
    await page.getByLabel('Before').fill('2026-01-01T01:00')
    await page.getByRole('button', { name: 'Filter' }).click()
    expect(new URL(page.url()).searchParams.get('before')).toBe('2026-01-01T00:00:00.000Z')
    expect(await page.getByLabel('Before').inputValue()).toBe('2026-01-01T01:00')
    expect(await page.getByText('No message fits.').count()).toBe(1)
    const [first] = await look.messages(queue)
    await page.getByLabel('Message id').fill(first?.msg_id ?? '')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.waitForURL(`${dashboard.url}/queues/${queue}/messages/${first?.msg_id}`)
  })

  test('goes on looking where a look found few', async () => {
    await sql`insert into ${look.table('q', large)} (vt, message) select now(), jsonb_build_object('n', n) from generate_series(1, 20500) n`
    const { page } = await open('?field=n&value=20400', {}, large)
    await page.getByText(/Looked through [\d,]+ messages, found 0\./).waitFor()
    const goOn = page.getByRole('link', { name: 'Go on' })
    await until('it is found', async () => {
      if ((await goOn.count()) > 0) await goOn.click()
      return (await rows(page).count()) > 0
    })
    expect(await rows(page).locator('th').allInnerTexts()).toEqual(['20400'])
    // Nobody told this worker what is sensitive there.
    expect(await rows(page).innerText()).toContain('hidden')
  })

  test('hides what is sensitive, and does not let viewers search for it', async () => {
    const { page } = await browser.open(`${viewers.url}/queues/${queue}`)
    expect(await page.content()).not.toContain('+49')
    expect(await rows(page).first().innerText()).toContain('••••••')
    expect(await page.getByLabel('Payload contains').count()).toBe(0)
    for (const query of ['field=customer.phone&value=%2B49', 'text=%2B49']) {
      const answer = await page.request.get(`${viewers.url}/queues/${queue}?${query}`)
      expect(answer.status()).toBe(403)
    }
    expect(
      (await page.request.get(`${viewers.url}/queues/${queue}?field=customer.name&value=x`)).status(),
    ).toBe(200)
  })

  test('shows what messages and errors say as text', async () => {
    const { page, troubles } = await open('?state=retrying')
    expect(await rows(page).first().innerText()).toContain('<img src=x')
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(await page.title()).toContain(queue)
    expect(troubles).toEqual([])
  })

  test.each(['light', 'dark'] as const)('can be read by all, in %s, on a phone as well', async (scheme) => {
    const { page, troubles } = await open('?state=dead&error=x', { scheme, width: 390 })
    await drawn(page)
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    await page.setViewportSize({ width: 1440, height: 900 })
    await page.goto(`${dashboard.url}/queues/${queue}?state=retrying`)
    await drawn(page)
    expect(await findings(page)).toEqual([])
    expect(troubles).toEqual([])
  })

  test.each(
    [
      ['/queues/no_such_queue', 404],
      ['/queues/NO!', 404],
      [`/queues/${queue}?state=odd`, 400],
      [`/queues/${queue}?since=never`, 400],
      [`/queues/${queue}/find?id=x`, 400],
      [`/queues/${queue}?state=ready&after=nonsense`, 400],
    ].map(([path, status]) => [String(path).replace(queue, 'Q'), path, status] as const),
  )('%s is answered with reason', async (_, path, status) => {
    const answer = await fetch(`${dashboard.url}${path}`)
    expect(answer.status).toBe(status)
    expect(await answer.text()).toContain('<h1>')
  })
})

/** Pixels of a chart that are not empty. */
function inkOf(page: Page, kind: string): Promise<number> {
  return page.evaluate(`(() => {
    const canvas = document.querySelector('[data-chart=${kind}] canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let ink = 0
    for (let at = 3; at < data.length; at += 4) if (data[at] > 200) ink++
    return ink
  })()`)
}

function lives(): Life[] {
  const customer = (n: number) => ({ customer: { name: `Ann ${n}`, phone: `+49 30 ${n}` }, n })
  return [
    ...Array.from({ length: 6 }, (_, n) => ({ payload: customer(1000 + n), outcomes: [archive] })),
    ...[0, 1].map((n) => ({ payload: customer(2000 + n), outcomes: ['hold'] as const })),
    { payload: { note: EVIL }, outcomes: [failed(`Busy 1: ${EVIL}`, 200_000)] },
    ...[2, 3, 4].map((n) => ({
      payload: customer(3000 + n),
      outcomes: [failed(`Busy ${n}: later`, 300_000)],
    })),
    ...[0, 1, 2].map((n) => ({ payload: customer(4000 + n), outcomes: [died(`refused ${EVIL}`)] })),
    ...[3, 4].map((n) => ({
      payload: customer(4000 + n),
      outcomes: [died('n: is missing', 'invalid_payload')],
    })),
    ...[0, 1, 2].map((n) => ({ payload: customer(5000 + n), send: { delaySeconds: 3600 } })),
    ...Array.from({ length: READY }, (_, n) => ({ payload: customer(n) })),
  ]
}
