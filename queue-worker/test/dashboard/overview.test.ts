/** The overview in a real browser: are the queues well? */
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'
import { archive, died, failed, live, past } from '../support/dashboard-scene.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

describeInBrowser('the overview', (browser) => {
  const sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
  const look = createInspector(sql)
  const [busy, broken] = [uniqueQueue('busy'), uniqueQueue('broken')]
  const worker = uniqueQueue('worker')
  let shown: readonly string[] = [busy, broken]
  let dashboard: TestDashboard

  beforeAll(async () => {
    // Of other tests' queues it is not told.
    dashboard = await openDashboard({
      ground: {
        ask: (question) => question({ ...dashboard.queue, glance: () => dashboard.queue.glance(shown) }),
      },
    })
    const { queue } = dashboard
    for (const name of [busy, broken]) await queue.ensureQueue(name, { notify: false })
    await past(sql, busy, { hours: 1, perMinute: 20 })
    await live(queue, busy, [
      ...[1, 2, 3].map((n) => ({ payload: { n }, outcomes: [archive] })),
      { payload: { n: 4 }, outcomes: [failed('busy', 600_000)] },
      ...[5, 6].map((n) => ({ payload: { n }, outcomes: [died('<b>no</b>')] })),
      { payload: { n: 7 }, outcomes: ['hold'] },
      { payload: { n: 8 }, send: { delaySeconds: 600 } },
      ...Array.from({ length: 1234 }, (_, n) => ({ payload: { n } })),
    ])
    await live(queue, broken, [
      {
        payload: {},
        outcomes: [{ kind: 'snooze', delayMs: 60_000, breaker: { reason: 'the broker is down' } }],
      },
    ])
    await queue.beat({
      workerId: worker,
      instance: 'i',
      version: '1.2.3',
      host: 'host-7',
      pid: 42,
      queues: [busy, broken],
      inFlight: 1,
    })
  })
  afterAll(async () => {
    await dashboard.close()
    for (const name of [busy, broken]) {
      await sql`delete from queue_worker.stats where queue = ${name}`
      await sql`delete from queue_worker.arrivals where queue = ${name}`
      await look.drop(name)
    }
    await sql`delete from queue_worker.workers where worker_id = ${worker}`
    await sql.end()
  })

  test('has a row a queue, each number leading to what it counts', async () => {
    const { page, troubles } = await browser.open(`${dashboard.url}/`)
    const cells = await page.locator(`#queue-${busy}`).locator('th, td').allInnerTexts()
    expect(cells.slice(0, 7)).toEqual([busy, 'running', '1,234', '1', '1', '1', '2'])
    expect(await page.locator(`#queue-${broken}`).innerText()).toContain('breaker open')
    expect(await page.locator('.lead').innerText()).toContain(broken)
    expect(await page.locator(`#queue-${busy} .spark rect`).count()).toBeGreaterThan(50)
    expect(await page.getByRole('row', { name: worker }).innerText()).toMatch(
      /alive\s+1\s+.*1\.2\.3\s+host-7, 42/,
    )
    await page.locator(`#queue-${busy}`).getByRole('link', { name: '2', exact: true }).click()
    await page.waitForURL(
      (url) => url.pathname.endsWith(`/queues/${busy}`) && url.searchParams.get('state') === 'dead',
    )
    expect(await page.locator('.messages tbody tr').count()).toBe(2)
    expect(troubles).toEqual([])
    expect(dashboard.logged).toEqual([])
  })

  test('tells of a change without being loaded again, and of an answer that does not come', async () => {
    const { page } = await browser.open(`${dashboard.url}/`)
    await page.evaluate(`document.getElementById('queue-${busy}').dataset.mine = 'yes'`)
    await dashboard.queue.setPaused(busy, true)
    // By itself, some seconds later.
    await page.locator(`#queue-${busy}`).getByText('paused').waitFor()
    await dashboard.queue.setPaused(busy, false)
    expect(await page.locator('#live-state').innerText()).toBe('live')
    await page.route('**/dashboard/', (route) => route.abort())
    await page.evaluate(`htmx.trigger(document.getElementById('main'), 'refresh')`)
    await page.getByText('no answer').waitFor()
    expect(await page.locator(`#queue-${busy}`).count()).toBe(1)
  })

  test.each(['light', 'dark'] as const)('can be read by all, in %s, on a phone as well', async (scheme) => {
    const { page, troubles } = await browser.open(`${dashboard.url}/`, { scheme, width: 390 })
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    expect(troubles).toEqual([])
  })

  test('teaches where there is nothing yet', async () => {
    shown = [uniqueQueue('none')]
    const { page } = await browser.open(`${dashboard.url}/`)
    expect(await page.locator('main').innerText()).toContain('select pgmq.send(')
    expect(await findings(page)).toEqual([])
    shown = [busy, broken]
  })
})
