/** Acting on queues from the dashboard: every click, and what the database holds afterwards. */
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'
import { createInspector, type Inspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

describeInBrowser('acting on a queue', (browser) => {
  let dashboard: TestDashboard
  let viewers: TestDashboard
  let sql: Sql
  let look: Inspector
  let name = ''

  beforeAll(async () => {
    dashboard = await openDashboard()
    viewers = await openDashboard({ role: 'viewer' })
    sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
    look = createInspector(sql)
  })
  beforeEach(async () => {
    name = uniqueQueue()
    await dashboard.queue.ensureQueue(name, { notify: false })
    return () => look.drop(name)
  })
  afterAll(async () => {
    await Promise.all([dashboard.close(), viewers.close(), sql.end()])
  })

  /** Letters of two reasons, the odd ones of a refused mail. */
  const die = (letters: number) => sql`
    insert into ${look.table('q', `${name}_dlq`)} (vt, message)
    select now(), jsonb_build_object('message', jsonb_build_object('n', n), 'headers', null, 'dead_letter', jsonb_build_object('queue', ${name}::text,
      'msg_id', n, 'origin_key', ${name} || n, 'reason', case when n % 2 = 0 then 'unrecoverable' else 'attempts_exhausted' end,
      'error', case when n % 2 = 0 then 'no such address' else 'the server is busy' end, 'attempts', 5, 'deliveries', 5,
      'enqueued_at', now(), 'dead_at', now()))
    from generate_series(1, ${letters}::int) n`
  const counts = async () => ({
    waiting: (await look.messages(name)).length,
    dead: (await look.deadLetters(name)).length,
    archived: (await look.archived(`${name}_dlq`)).length,
  })
  const audited = () =>
    sql<{ action: string; by: string; count: number; undone_by: string | null }[]>`
      select action, by, count, undone_by from queue_worker.audit where queue = ${name} order by id`
  const isPaused = async () =>
    (await sql`select paused from queue_worker.queues where queue = ${name}`)[0]?.paused

  test('pausing asks nothing, says what was done, and is undone', async () => {
    const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}`)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText(`${name} was paused.`).waitFor()
    expect(await isPaused()).toBe(true)
    expect(await findings(page)).toEqual([])
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: ${name} runs again.`).waitFor()
    expect(await isPaused()).toBe(false)
    expect(await audited()).toEqual([
      { action: 'pause', by: 'local', count: 1, undone_by: 'local' },
      { action: 'undo', by: 'local', count: 1, undone_by: null },
    ])
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText(`${name} was resumed.`).waitFor()
    expect(await isPaused()).toBe(false)
    await page.getByRole('link', { name: 'Dismiss' }).click()
    await page.waitForURL(`${dashboard.url}/queues/${name}`)
    expect(troubles).toEqual([])
  })

  test('dead letters are sent back once somebody has seen how many and why they died, and taken back', async () => {
    await die(12)
    const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}`)
    await page.getByRole('link', { name: 'Send dead letters back' }).click()
    await page.getByText('12 dead letters').waitFor()
    const reasons = await page
      .getByRole('list', { name: 'Why they died' })
      .getByRole('listitem')
      .allInnerTexts()
    expect(reasons.sort()).toEqual(['attempts_exhausted 6', 'unrecoverable 6'])
    expect(await findings(page)).toEqual([])
    expect(await counts()).toEqual({ waiting: 0, dead: 12, archived: 0 })
    await page.getByRole('button', { name: 'Send back' }).click()
    await page.getByText(`12 dead letters of ${name} were sent back.`).waitFor()
    expect(await counts()).toEqual({ waiting: 12, dead: 0, archived: 0 })
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: 12 messages of ${name} went back to the dead letters.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 12, archived: 0 })
    expect(await audited()).toEqual([
      { action: 'redrive', by: 'local', count: 12, undone_by: 'local' },
      { action: 'undo', by: 'local', count: 12, undone_by: null },
    ])
    expect(troubles).toEqual([])
  })

  test('with a limit and a pace, the oldest go back one by one', async () => {
    await die(5)
    const { page } = await browser.open(
      `${dashboard.url}/queues/${name}/confirm?action=redrive&reason=attempts_exhausted`,
    )
    await page.getByText('3 dead letters').waitFor()
    await page.getByLabel('At most', { exact: true }).fill('2')
    await page.getByLabel('At most this many a second').fill('0.01')
    await page.getByRole('button', { name: 'Send back' }).click()
    await page.getByText(`2 dead letters of ${name} were sent back.`).waitFor()
    const [first, second] = await look.messages(name)
    expect([first?.message, second?.message]).toEqual([{ n: 1 }, { n: 3 }])
    expect(Number(second?.vt) - Number(first?.vt)).toBeGreaterThan(90_000)
    expect((await counts()).dead).toBe(3)
  })

  test('letters that match are discarded into the archive, and brought back', async () => {
    await die(6)
    const { page, troubles } = await browser.open(
      `${dashboard.url}/queues/${name}/confirm?action=discard&error=BUSY`,
    )
    await page.getByText('3 dead letters').waitFor()
    await page.getByText('whose error says “BUSY”').waitFor()
    expect(await findings(page)).toEqual([])
    await page.getByRole('button', { name: 'Discard' }).click()
    await page.getByText(`3 dead letters of ${name} were discarded.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 3, archived: 3 })
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: 3 dead letters of ${name} were brought back.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 6, archived: 0 })
    expect(troubles).toEqual([])
  })

  test('a thousand go in bites: how far it is can be seen, and all of it is undone at once', async () => {
    await die(1000)
    const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}/confirm?action=redrive`)
    const seen = new Set<string>()
    page.on('response', async (response) => {
      const text = response.request().method() === 'POST' ? await response.text().catch(() => '') : ''
      const [, done] = /<p role="status">([\d,]+ of [\d,]+) done/.exec(text) ?? []
      if (done !== undefined) seen.add(done)
    })
    await page.getByRole('button', { name: 'Send back' }).click()
    await page.getByText(`1,000 dead letters of ${name} were sent back.`).waitFor()
    expect([...seen]).toContain('300 of 1,000')
    expect(await counts()).toEqual({ waiting: 1000, dead: 0, archived: 0 })
    expect((await audited()).map(({ count }) => count)).toEqual(Array(10).fill(100))
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: 1,000 messages of ${name} went back to the dead letters.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 1000, archived: 0 })
    expect(troubles).toEqual([])
  })

  test('without JavaScript a button goes on, and one stops; what was done until then is undone', async () => {
    await die(450)
    const { page } = await browser.open(`${dashboard.url}/queues/${name}/confirm?action=discard`, {
      scripts: false,
    })
    await page.getByRole('button', { name: 'Discard' }).click()
    await page.getByText('100 of 450 done').waitFor()
    // One that dies meanwhile is not meant.
    await die(1)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('200 of 450 done').waitFor()
    expect(await page.getByRole('progressbar').getAttribute('value')).toBe('200')
    await page.getByRole('button', { name: 'Stop here' }).click()
    await page.getByText(`200 dead letters of ${name} were discarded.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 251, archived: 200 })
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: 200 dead letters of ${name} were brought back.`).waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 451, archived: 0 })
    await page.getByRole('link', { name: 'Discard dead letters' }).click()
    await page.getByLabel('At most', { exact: true }).fill('450')
    await page.getByRole('button', { name: 'Discard' }).click()
    for (const done of [100, 200, 300, 400]) {
      await page.getByText(`${done} of 450 done`).waitFor()
      await page.getByRole('button', { name: 'Go on' }).click()
    }
    await page.getByText(`450 dead letters of ${name} were discarded.`).waitFor()
    expect((await counts()).dead).toBe(1)
  })

  test('a viewer sees no action, and is refused by the server', async () => {
    await die(2)
    const { page } = await browser.open(`${viewers.url}/queues/${name}`)
    await page.getByRole('heading', { name }).waitFor()
    expect(
      await page
        .getByRole('main')
        .getByRole('button', { name: /Pause|Send|Discard|Retry/ })
        .count(),
    ).toBe(0)
    expect(
      await page
        .getByRole('main')
        .getByRole('link', { name: /test message|dead letters/i })
        .count(),
    ).toBe(0)
    for (const path of ['confirm?action=discard', 'send']) {
      await page.goto(`${viewers.url}/queues/${name}/${path}`)
      await page.getByRole('heading', { name: 'You may look, but not act.' }).waitFor()
    }
    await page.goto(`${viewers.url}/audit`)
    for (const path of [`queues/${name}/act`, `queues/${name}/send`, 'audit/1/undo']) {
      const status = await page.evaluate(
        `fetch('${viewers.url}/${path}', { method: 'POST', body: new URLSearchParams({ action: 'pause' }) }).then((answer) => answer.status)`,
      )
      expect([path, status]).toEqual([path, 403])
    }
    expect(await isPaused()).not.toBe(true)
    expect(await audited()).toEqual([])
  })

  test('what is not there is refused as a page that keeps the form', async () => {
    await look.drop(name)
    const { page } = await browser.open(`${dashboard.url}/queues/${name}/send`)
    await page.getByLabel('Message', { exact: false }).fill('{"n": 1}')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByRole('heading', { name: 'This was not done' }).waitFor()
    expect(await findings(page)).toEqual([])
    await dashboard.queue.ensureQueue(name, { notify: false })
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText(`A message was sent to ${name}.`).waitFor()
    expect((await look.messages(name)).map(({ message }) => message)).toEqual([{ n: 1 }])
  })

  test('a message that waits out its backoff is retried now, alone or with the others', async () => {
    await sql`select pgmq.send(${name}, '{"n": 1}', 3600), pgmq.send(${name}, '{"n": 2}', 3600)`
    const [first] = await look.messages(name)
    const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}/messages/${first?.msg_id}`)
    await page.getByRole('button', { name: 'Retry now' }).click()
    await page.getByText(`1 message of ${name} was made due now.`).waitFor()
    const due = async () => (await look.messages(name)).map(({ vt }) => vt.getTime() <= Date.now())
    expect(await due()).toEqual([true, false])
    await page.goto(`${dashboard.url}/queues/${name}?state=delayed`)
    await page
      .getByRole('checkbox', { name: /Choose message/ })
      .first()
      .check()
    await page.getByRole('button', { name: 'Retry selected now' }).click()
    await page.getByText('This cannot be undone.').waitFor()
    await page.getByRole('button', { name: 'Retry now' }).click()
    await page.getByText(`1 message of ${name} was made due now.`).waitFor()
    expect(await due()).toEqual([true, true])
    expect(await page.getByRole('button', { name: 'Undo' }).count()).toBe(0)
    expect(troubles).toEqual([])
  })

  test('the selected letters alone are meant, and a selection of nothing is told', async () => {
    await die(3)
    const letters = await look.deadLetters(name)
    const { page } = await browser.open(`${dashboard.url}/queues/${name}?state=dead`)
    await page.getByRole('button', { name: 'Discard selected' }).click()
    await page.getByRole('heading', { name: 'No message was selected.' }).waitFor()
    await page.goto(`${dashboard.url}/queues/${name}?state=dead`)
    for (const letter of letters.slice(0, 2))
      await page.getByRole('checkbox', { name: `Choose message ${letter.msg_id}`, exact: true }).check()
    await page.getByRole('button', { name: 'Send selected back' }).click()
    await page.getByText('2 dead letters').waitFor()
    await page.getByRole('button', { name: 'Send back' }).click()
    await page.getByText(`2 dead letters of ${name} were sent back.`).waitFor()
    expect(await counts()).toEqual({ waiting: 2, dead: 1, archived: 0 })
  })

  test('the audit tells who did what, and undoes it', async () => {
    await die(1)
    const { page, troubles } = await browser.open(`${dashboard.url}/queues/${name}/confirm?action=discard`)
    await page.getByRole('button', { name: 'Discard' }).click()
    await page.getByText(`1 dead letter of ${name} was discarded.`).waitFor()
    await page.goto(`${dashboard.url}/audit?queue=${name}`)
    const row = page.getByRole('row', { name: `1 dead letter of ${name} was discarded` })
    expect(await row.getByRole('rowheader').innerText()).toBe('local')
    await row.getByRole('button', { name: 'Undo' }).click()
    await page.getByText(`Undone: 1 dead letter of ${name} was brought back.`).first().waitFor()
    expect(await counts()).toEqual({ waiting: 0, dead: 1, archived: 0 })
    expect(await findings(page)).toEqual([])
    await page.setViewportSize({ width: 390, height: 800 })
    expect(await overflowOf(page)).toBe(0)
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Audit' }).click()
    await page.getByRole('heading', { name: 'Audit' }).waitFor()
    expect(troubles).toEqual([])
  })

  test('older pages of the audit follow', async () => {
    for (let index = 0; index < 26; index += 1) {
      await dashboard.queue.act({ action: 'pause', queue: name }, 'ann')
      await dashboard.queue.act({ action: 'resume', queue: name }, 'ben')
    }
    const { page } = await browser.open(`${dashboard.url}/audit?queue=${name}`)
    const rows = () => page.locator('tbody tr').count()
    expect(await rows()).toBe(50)
    await page.getByRole('link', { name: 'Older' }).click()
    await until('the last page is shown', async () => (await rows()) === 2)
    await page.getByRole('link', { name: 'Newest' }).click()
    await until('the first page is shown', async () => (await rows()) === 50)
  })

  test('a form leads back within the dashboard alone', async () => {
    const { page } = await browser.open(`${dashboard.url}/audit`)
    const csrf = /name="csrf" value="([^"]+)"/
    const body = await (await fetch(`${dashboard.url}/queues/${name}/send`)).text()
    const [, proof = ''] = csrf.exec(body) ?? []
    for (const back of [
      '//evil.example',
      'https://evil.example',
      '/\\evil.example',
      '/x\r\nset-cookie: a=b',
    ]) {
      const answer = await fetch(`${dashboard.url}/queues/${name}/act`, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams({ csrf: proof, action: 'pause', back }),
      })
      expect([answer.status, answer.headers.get('location')]).toEqual([
        303,
        expect.stringMatching(new RegExp(`^/dashboard/queues/${name}\\?notice=\\d+$`)),
      ])
    }
    await page.close()
  })
})
