/** The pages that act, and those that tell what was done and what came of it. */
import type { Page } from '../asked.ts'
import { actedPage, actPage } from './act.ts'
import { auditPage } from './audit.ts'
import { confirmPage } from './confirm.ts'
import { mailFilePage, mailHtmlPage, mailPage, mailRawPage } from './mail.ts'
import { mailsPage } from './mails.ts'
import { reportFilePage, reportPage } from './report.ts'
import { reportsPage } from './reports.ts'
import { scheduleActPage, schedulePage } from './schedule.ts'
import { sendFormPage, sendPage } from './send.ts'
import { undoPage } from './undo.ts'

export const ACTION_PAGES: readonly Page[] = [
  ...[confirmPage, actPage, actedPage, sendFormPage, sendPage],
  ...[schedulePage, scheduleActPage, auditPage, undoPage],
  ...[mailsPage, mailPage, mailHtmlPage, mailRawPage, mailFilePage],
  ...[reportsPage, reportPage, reportFilePage],
]
