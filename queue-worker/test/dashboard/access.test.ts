/** Who comes to the dashboard with a browser: as a person does, with the cookies and headers that only a browser makes. */
import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, findings, overflowOf } from '../support/dashboard.ts'
import { ADMIN, type DoorBench, openDoor, VIEWER } from '../support/dashboard-door.ts'
import { listenOn } from '../support/ports.ts'

describeInBrowser('access', (browser) => {
  let door: DoorBench
  let closed: DoorBench
  let at = ''
  beforeAll(async () => {
    door = await openDoor({ operatorTokens: [ADMIN], viewerTokens: [VIEWER] })
    closed = await openDoor()
    at = `http://127.0.0.1:${door.port}/dashboard`
  })
  afterAll(() => Promise.all([door.close(), closed.close()]))

  test('without scripts: a wrong token is told, the right one leads to the page that was asked for, and one logs out', async () => {
    const { page } = await browser.open(`${at}/queues/reports?state=dead`, { scripts: false })
    expect(await page.title()).toBe('Log in · queue-worker')
    await page.getByLabel('Token').fill('wrong')
    await page.getByLabel('Token').press('Enter')
    await page.getByRole('alert').getByText('not the right one').waitFor()
    await page.getByLabel('Token').fill(ADMIN)
    await page.getByRole('button', { name: 'Log in' }).click()
    expect(page.url()).toBe(`${at}/queues/reports?state=dead`)
    expect(await page.locator('#who').textContent()).toMatch(/^operator [0-9a-f]{4}\|operator\|/)
    const [cookie] = await page.context().cookies(at)
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/dashboard' })
    await page.getByRole('button', { name: 'Log out' }).click()
    expect(page.url()).toBe(`${at}/login`)
    await page.goto(`${at}/queues/reports`)
    expect(await page.title()).toBe('Log in · queue-worker')
  })

  test('a link on another site finds the session, and a form there finds none', async () => {
    const other = createServer((_, response) => {
      const form = `<form method="post" action="${at}/act"><input name="what" value="evil"><button>Win</button></form>`
      const body = `<a href="${at}/queues/x?y=1">go</a>${form}`
      response.writeHead(200, { 'content-type': 'text/html' }).end(body)
    })
    await listenOn(other, 0)
    const address = other.address()
    const elsewhere = `http://localhost:${typeof address === 'object' ? address?.port : 0}/`
    try {
      const { page } = await browser.open(at)
      await page.getByLabel('Token').fill(ADMIN)
      await page.getByLabel('Token').press('Enter')
      await page.locator('#who').waitFor()
      await page.goto(elsewhere)
      await page.getByRole('link', { name: 'go' }).click()
      await page.locator('#who').waitFor()
      expect(page.url()).toBe(`${at}/queues/x?y=1`)
      await page.goto(elsewhere)
      await page.getByRole('button', { name: 'Win' }).click()
      await page.waitForURL(`${at}/**`)
      await page.waitForLoadState()
      expect(door.acted).toEqual([])
    } finally {
      other.closeAllConnections()
      other.close()
    }
  })

  test('whose session ends while they look is led to the login, and back', async () => {
    const { page } = await browser.open(`${at}/queues/x`)
    await page.getByLabel('Token').fill(VIEWER)
    await page.getByLabel('Token').press('Enter')
    await page.locator('#who').waitFor()
    door.clock.nowMs += 12 * 3600_000
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.getByLabel('Token').fill(VIEWER)
    await page.getByLabel('Token').press('Enter')
    await page.locator('#who').waitFor()
    expect(page.url()).toBe(`${at}/queues/x`)
  })

  test.each(['light', 'dark'] as const)(
    'its pages are sound for screen readers and phones: %s',
    async (scheme) => {
      const { page, troubles } = await browser.open(`${at}/login`, { scheme, width: 390 })
      expect([await findings(page), await overflowOf(page), troubles]).toEqual([[], 0, []])
      expect(await page.evaluate('document.activeElement.name')).toBe('token')
      await page.getByLabel('Token').fill('wrong')
      await page.getByLabel('Token').press('Enter')
      await page.getByRole('alert').waitFor()
      expect([await findings(page), await overflowOf(page)]).toEqual([[], 0])
      await page.goto(`http://127.0.0.1:${closed.port}/dashboard/`)
      await page.getByRole('heading', { name: 'closed' }).waitFor()
      expect([await findings(page), await overflowOf(page)]).toEqual([[], 0])
    },
  )
})
