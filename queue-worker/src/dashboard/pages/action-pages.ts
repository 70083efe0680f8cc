/** The pages that act, and those that tell what was done. */
import type { Page } from '../asked.ts'
import { actedPage, actPage } from './act.ts'
import { auditPage } from './audit.ts'
import { confirmPage } from './confirm.ts'
import { sendFormPage, sendPage } from './send.ts'
import { undoPage } from './undo.ts'

export const ACTION_PAGES: readonly Page[] = [
  confirmPage,
  actPage,
  actedPage,
  auditPage,
  undoPage,
  sendFormPage,
  sendPage,
]
