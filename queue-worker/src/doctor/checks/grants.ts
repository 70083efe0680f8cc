/** Who may call our functions: workers must, strangers must not. */
import { applyGrants } from '../../services/migrations.ts'
import { defineCheck, type MendableFinding } from '../finding.ts'
import type { Parts } from '../parts.ts'

/** So many are named; the rest is counted. */
const SHOWN = 3

export const grants = defineCheck({
  name: 'grants',
  group: 'Database',
  needs: ['migration'],
  catalog: {
    grants_ok: { severity: 'ok', why: '' },
    grants_open: {
      severity: 'error',
      why: 'Whoever has the public key of your web app could read, send and delete messages of every queue.',
    },
    grants_missing: { severity: 'error', why: 'A worker that logs in as that role fails at these calls.' },
  },
  async run({ diagnose, direct }: Parts, tell) {
    const { open, missing } = (await diagnose()).grants
    const mend = direct === null ? undefined : () => direct(applyGrants)
    const how =
      'Run `npx queue-worker doctor --fix` with DATABASE_URL set, or the last file of supabase/migrations in the SQL editor.'
    const found: MendableFinding[] = []
    for (const [role, things] of byRole(open))
      found.push(tell('grants_open', `${role} may use ${list(things)}`, how, mend))
    for (const [role, things] of byRole(missing))
      found.push(tell('grants_missing', `${role} may not call ${list(things)}`, how, mend))
    if (found.length > 0) return found
    return [tell('grants_ok', 'workers may call our functions, anon and authenticated may not')]
  },
})

function byRole(rights: readonly { role: string; what: string }[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { role, what } of rights) found.set(role, [...(found.get(role) ?? []), what])
  return found
}

function list(things: readonly string[]): string {
  const rest = things.length - SHOWN
  return things.slice(0, SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}
