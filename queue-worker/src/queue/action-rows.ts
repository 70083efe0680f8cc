/** The JSON that actions and the audit are answered with, turned into the product's own types. */
import { z } from 'zod'
import type { Acted, AuditRow } from './actions.ts'

export const actedRow = z
  .object({
    audit_id: z.string(),
    count: z.number(),
    last_id: z.string().nullable(),
    msg_ids: z.array(z.string()),
  })
  .transform(
    (row): Acted => ({ auditId: row.audit_id, count: row.count, lastId: row.last_id, msgIds: row.msg_ids }),
  )

export const auditRows = z.array(
  z
    .object({
      id: z.string(),
      at: z.string(),
      by: z.string(),
      action: z.string(),
      queue: z.string().nullable(),
      target: z.record(z.string(), z.unknown()),
      count: z.number(),
      undone: z.object({ by: z.string(), at: z.string() }).nullable(),
      can_undo: z.boolean(),
    })
    .transform(({ can_undo, ...row }): AuditRow => ({ ...row, canUndo: can_undo })),
)
