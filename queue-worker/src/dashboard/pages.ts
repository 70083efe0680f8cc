/** All pages, in the order in which they are looked for, and the entries of the navigation. */
import type { Page } from './asked.ts'
import type { Section } from './layout.ts'
import { ACTION_PAGES } from './pages/action-pages.ts'
import { messagePage } from './pages/message.ts'
import { overviewPage } from './pages/overview.ts'
import { findPage, queuePage } from './pages/queue.ts'
import { historyPage } from './pages/queue-charts.ts'

export const PAGES: readonly Page[] = [
  overviewPage,
  queuePage,
  historyPage,
  findPage,
  messagePage,
  ...ACTION_PAGES,
]

export const SECTIONS: readonly Section[] = [
  { path: '/', name: 'Queues' },
  { path: '/reports', name: 'Reports' },
  { path: '/mails', name: 'Mails', needs: 'mails' },
  { path: '/audit', name: 'Audit' },
]
