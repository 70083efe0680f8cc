/** What finished messages leave behind in the tables of the queues until vacuum takes it away. */
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

/** From about here on a read takes several times as long. */
const MANY = 20_000

export const deadRows = defineCheck({
  name: 'dead-rows',
  group: 'Queues',
  needs: ['queues'],
  catalog: {
    dead_rows_ok: { severity: 'ok', why: '' },
    dead_rows: {
      severity: 'warning',
      why: 'A read passes all of them on its way to the first message that is due.',
    },
  },
  async run({ diagnose, queues }: Parts, tell) {
    if (queues.length === 0) return []
    const bloated = (await diagnose()).queues.filter(({ dead_rows: dead }) => (dead ?? 0) > MANY)
    if (bloated.length === 0) return [tell('dead_rows_ok', 'vacuum keeps up with the queues')]
    return bloated.map(({ queue, dead_rows: dead }) =>
      tell(
        'dead_rows',
        `the table of queue ${queue} has ${dead} dead rows`,
        `vacuum pgmq.q_${queue}; If they stay, a transaction is open (see old-snapshots); if they come back, let autovacuum run on it more often.`,
      ),
    )
  },
})
