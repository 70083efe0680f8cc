/** What all pages have in common, in a real browser. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeInBrowser,
  findings,
  openDashboard,
  overflowOf,
  type TestDashboard,
} from '../support/dashboard.ts'

describeInBrowser('a page that is not there', (browser) => {
  let dashboard: TestDashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(() => dashboard.close())

  test.each(['light', 'dark'] as const)('says so and leads back, in %s', async (scheme) => {
    const { page, troubles } = await browser.open(`${dashboard.url}/nowhere`, { scheme, width: 390 })
    expect(await page.getByRole('heading').allInnerTexts()).toEqual(['There is no such page.'])
    expect(await findings(page)).toEqual([])
    expect(await overflowOf(page)).toBe(0)
    // Chromium tells of the 404 itself.
    expect(troubles.filter((one) => !one.includes('404'))).toEqual([])
    await page.getByRole('link', { name: 'Overview' }).press('Enter')
    await page.waitForURL(`${dashboard.url}/`)
  })
})
