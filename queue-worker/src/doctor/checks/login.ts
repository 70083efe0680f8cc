/** Whether the key or the password opens, and as whom. */
import { jwtClaims } from '../../config/keys.ts'
import type { DatabaseStatus } from '../../queue/contract.ts'
import { applyGrants } from '../../services/migrations.ts'
import { defineCheck } from '../finding.ts'
import { outcomeOf } from '../outcome-of.ts'
import type { Parts } from '../parts.ts'

export const login = defineCheck({
  name: 'login',
  group: 'Connection',
  needs: ['tls'],
  limitMs: 35_000,
  catalog: {
    login_ok: { severity: 'ok', why: '' },
    key_refused: { severity: 'error', why: 'Every call of a worker would be refused.' },
    login_refused: { severity: 'error', why: 'A worker cannot log in to its database.' },
    key_not_allowed: {
      severity: 'error',
      why: 'Queues may hold anything, so only the secret key may use them.',
    },
    rights_missing: { severity: 'error', why: 'A worker may not call the functions it needs.' },
    project_paused: { severity: 'error', why: 'A paused project answers nobody.' },
    wrong_address: { severity: 'error', why: 'What answers there is no queue of yours.' },
    no_answer: { severity: 'error', why: 'A worker would wait, and give up after WORKER_GIVE_UP_SECONDS.' },
  },
  async run({ queue, connection, transport, direct }: Parts, tell) {
    const { status, failure } = await outcomeOf(() => queue.status())
    if (failure === undefined) return [tell('login_ok', `${transport.target} lets us in as ${whom(status)}`)]
    const { kind, message, remedy } = failure
    switch (kind) {
      case 'missing_migration':
      case 'old_migration':
        return [tell('login_ok', `${transport.target} lets us in`)]
      case 'wrong_key':
        return [tell('key_refused', message, remedy)]
      case 'login':
        return [tell('login_refused', message, remedy)]
      case 'paused_project':
        return [tell('project_paused', message, remedy)]
      case 'wrong_url':
        return [tell('wrong_address', message, remedy)]
      case 'forbidden': {
        const role = connection.kind === 'rpc' ? roleOf(connection.key) : undefined
        if (connection.kind === 'rpc' && role !== 'service_role' && role !== 'queue_worker') {
          const which = role === undefined ? 'another role than service_role' : `the role ${role}`
          return [tell('key_not_allowed', `the key is one of ${which}: ${message}`, remedy)]
        }
        // A direct login that may not call them may not grant them either.
        const mend = connection.kind === 'rpc' && direct !== null ? () => direct(applyGrants) : undefined
        return [tell('rights_missing', message, remedy, mend)]
      }
      default:
        return [tell('no_answer', message, remedy)]
    }
  },
})

function whom(status: DatabaseStatus | undefined): string {
  return status === undefined ? 'somebody' : `${status.role} (PostgreSQL ${status.postgresVersion})`
}

/** What the key says of itself; undefined: nothing. */
function roleOf(key: string): string | undefined {
  if (key.startsWith('sb_secret_')) return 'service_role'
  if (key.startsWith('sb_publishable_')) return 'anon'
  const role = jwtClaims(key)?.role
  return typeof role === 'string' ? role : undefined
}
