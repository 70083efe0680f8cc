/** Transactions that stay open: while they do, nothing that messages left behind can be cleaned up. */
import type { Diagnosis } from '../diagnosis.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

const IDLE_SECONDS = 10
const BUSY_SECONDS = 300
const SHOWN = 5

type Session = Diagnosis['sessions'][number]

export const oldSnapshots = defineCheck({
  name: 'old-snapshots',
  group: 'Database',
  needs: ['migration'],
  catalog: {
    snapshots_ok: { severity: 'ok', why: '' },
    idle_in_transaction: {
      severity: 'warning',
      why: 'It does nothing and keeps its snapshot and locks: reads of the queues slow down with every message that passes.',
    },
    old_snapshot: {
      severity: 'warning',
      why: 'Until it ends, rows of finished messages cannot be cleaned up, and reads of the queues slow down.',
    },
  },
  async run({ diagnose }: Parts, tell) {
    const { sessions } = await diagnose()
    const idle = sessions.filter(({ state, seconds }) => isIdle(state) && seconds > IDLE_SECONDS)
    const busy = sessions.filter(
      ({ state, seconds, holds_snapshot: holds }) => !isIdle(state) && holds && seconds > BUSY_SECONDS,
    )
    const found = [
      ...idle
        .slice(0, SHOWN)
        .map((one) => tell('idle_in_transaction', `${named(one)} is idle in a transaction`, howTo(one))),
      ...busy
        .slice(0, SHOWN)
        .map((one) => tell('old_snapshot', `${named(one)} holds an old snapshot`, howTo(one))),
    ]
    return found.length > 0 ? found : [tell('snapshots_ok', 'no transaction has been open for long')]
  },
})

function isIdle(state: string | null): boolean {
  return state?.startsWith('idle in transaction') === true
}

function named({ pid, user, program, seconds }: Session): string {
  const who = pid === null ? program : `session ${pid} of ${user ?? 'somebody'} (${program || 'no name'})`
  return `${who}, open for ${Math.round(seconds)} s,`
}

function howTo({ pid, state }: Session): string {
  if (pid === null) return 'Commit or roll it back: commit prepared or rollback prepared, with its name.'
  const end = `end it by: select pg_terminate_backend(${pid});`
  return isIdle(state)
    ? `Let its program commit, or ${end} idle_in_transaction_session_timeout prevents it.`
    : `If it is not needed, ${end} Run backups and long reports on a replica.`
}
