/**
 * The dashboard on the shared stack, and a real browser to look at it. One of each per file:
 *
 *   describeInBrowser('the queue page', (browser) => {
 *     let dashboard: TestDashboard
 *     beforeAll(async () => { dashboard = await openDashboard() })
 *     afterAll(() => dashboard.close())
 *     test('…', async () => {
 *       const { page, troubles } = await browser.open(`${dashboard.url}/`)
 *       …
 *       expect(troubles).toEqual([])
 *       expect(await findings(page)).toEqual([])
 *     })
 *   })
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, chromium, type Page as Tab } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, inject, test } from 'vitest'
import { openAccess } from '../../src/dashboard/access/open.ts'
import type { Ground, Page } from '../../src/dashboard/asked.ts'
import { createDashboardRoute } from '../../src/dashboard/dashboard.ts'
import { PAGES, SECTIONS } from '../../src/dashboard/pages.ts'
import type { Role } from '../../src/dashboard/visitor.ts'
import type { Queue, Transport } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { serveHealth } from '../../src/server/health.ts'
import type { SharedStack } from './global-stack.ts'
import { openTransport } from './transports.ts'

export type DashboardOptions = {
  readonly stack?: SharedStack
  readonly kind?: Transport['kind']
  /** Operator if not given. */
  readonly role?: Role
  /** Over what the pages stand on otherwise. */
  readonly ground?: Partial<Ground>
  readonly pages?: readonly Page[]
}

export type TestDashboard = {
  /** With the dashboard's path, without a slash at its end. */
  readonly url: string
  readonly queue: Queue
  /** What was logged, as it came: a page that fails says so here alone. */
  readonly logged: unknown[]
  close(): Promise<void>
}

const PATH = '/dashboard'

export async function openDashboard(options: DashboardOptions = {}): Promise<TestDashboard> {
  const { kind = 'rpc', role = 'operator', pages = PAGES, ground = {} } = options
  const queue = createQueue(openTransport(kind, options.stack ?? inject('stack')))
  const logged: unknown[] = []
  const log = (...line: unknown[]) => void logged.push(line)
  const access = openAccess()
  const route = createDashboardRoute({
    path: PATH,
    baseOf: () => PATH,
    access: {
      ...access,
      async admit(...request) {
        const visitor = await access.admit(...request)
        return visitor && { ...visitor, role }
      },
    },
    ground: { processors: [], ask: (question) => question(queue), ...ground },
    pages,
    sections: SECTIONS,
    logger: { warn: log, error: log },
  })
  const health = () => ({ ready: true, stuck: null, parts: [] })
  const server = await serveHealth({ host: '127.0.0.1', port: 0, health, routes: [route] })
  return {
    url: `${server.url}${PATH}`,
    queue,
    logged,
    async close() {
      await server.close()
      await queue.close()
    },
  }
}

export type Look = {
  readonly scheme?: 'light' | 'dark'
  /** 390: a phone. 1440 if not given. */
  readonly width?: number
  /** False: as in a browser that runs no scripts. */
  readonly scripts?: boolean
}

export type Opened = {
  readonly page: Tab
  /** Errors and warnings of the console, what the policy forbade, what was asked of others: there must be none. */
  readonly troubles: string[]
}

export type TestBrowser = { open(url: string, look?: Look): Promise<Opened> }

/** Skipped, and named so, where no Chromium is in PATH. Every tab is closed after its test. */
export function describeInBrowser(name: string, body: (browser: TestBrowser) => void): void {
  const program = findChromium()
  if (program === undefined)
    return void test.skip(`${name}: there is no chromium or google-chrome in PATH`, () => {})
  describe(name, () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: program })
    })
    afterEach(async () => {
      // Chromium may never answer for a page that was about to go elsewhere: such a one goes with the browser.
      const closed = Promise.all(browser.contexts().map((context) => context.close()))
      await Promise.race([closed, sleep(CLOSE_MS)])
    })
    afterAll(() => browser.close())
    body({ open: (url, look) => openTab(browser, url, look) })
  })
}

const CLOSE_MS = 20_000
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export async function openTab(browser: Browser, url: string, look: Look = {}): Promise<Opened> {
  const { scheme = 'light', width = 1440, scripts = true } = look
  const context = await browser.newContext({
    colorScheme: scheme,
    javaScriptEnabled: scripts,
    viewport: { width, height: 900 },
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
  })
  page.on('pageerror', (error) => troubles.push(String(error)))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith('data:'))
      troubles.push(`asks others: ${request.url()}`)
  })
  await page.goto(url)
  return { page, troubles }
}

/** What axe finds wrong with a page, one line each. */
export async function findings(page: Tab): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}

/** A page must never scroll sideways: tables that are too wide do so in their own box. */
export function overflowOf(page: Tab): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
