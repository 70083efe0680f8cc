/** All pages, in the order in which they are looked for, and the entries of the navigation. */
import type { Page } from './asked.ts'
import type { Section } from './layout.ts'
import { ACTION_PAGES } from './pages/action-pages.ts'
import { overviewPage } from './pages/overview.ts'

export const PAGES: readonly Page[] = [overviewPage, ...ACTION_PAGES]

export const SECTIONS: readonly Section[] = [
  { path: '/', name: 'Queues' },
  { path: '/audit', name: 'Audit' },
]
