/** Which pgmq there is and what it can do. */
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const pgmq = defineCheck({
  name: 'pgmq',
  group: 'Database',
  needs: ['migration'],
  catalog: {
    pgmq_ok: { severity: 'ok', why: '' },
    pgmq_without_headers: {
      severity: 'note',
      why: 'Messages cannot carry headers (send --headers, trace context); everything else works.',
    },
    database_read_only: {
      severity: 'error',
      why: 'A worker must write to read: taking a message changes it.',
    },
  },
  async run({ queue, diagnose }: Parts, tell) {
    const { pgmqVersion, headers } = await queue.status()
    const name = pgmqVersion === null ? 'pgmq, installed as a script' : `pgmq ${pgmqVersion}`
    const { read_only: isReadOnly } = await diagnose()
    const found = headers
      ? tell('pgmq_ok', `${name}, with headers`)
      : tell(
          'pgmq_without_headers',
          `${name}, without headers`,
          'Update it when it suits you: alter extension pgmq update;',
        )
    if (!isReadOnly) return [found]
    const how = 'Its disk may be full (make room), or the address is that of a standby (use the primary).'
    return [found, tell('database_read_only', 'the database is read-only', how)]
  },
})
