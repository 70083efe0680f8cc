/** How a worker learns of new messages: by notifications, where the way to the database lets them through. */
import { readAddress } from '../../services/postgres/address.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const wakeUp = defineCheck({
  name: 'wake-up',
  group: 'Connection',
  needs: ['login'],
  catalog: {
    wake_by_polling: { severity: 'ok', why: '' },
    listen_works: { severity: 'ok', why: '' },
    transaction_pooler: {
      severity: 'warning',
      why: 'It lets no notifications through and takes no prepared statements: workers poll, and each call costs twice as much.',
    },
    listen_silent: {
      severity: 'warning',
      why: 'Something between swallows notifications, as transaction poolers do: workers poll, and messages start later.',
    },
  },
  async run({ connection, config, open }: Parts, tell) {
    const polls = `look for messages every ${config.worker.pollIntervalMs / 1000} s while idle`
    if (connection.kind === 'rpc') return [tell('wake_by_polling', `over RPC workers ${polls}`)]
    const { transactionPooler, pooler } = readAddress(connection.url)
    if (transactionPooler) {
      const how = 'Use the session pooler (Supabase: port 5432 of the pooler) or the direct address.'
      return [tell('transaction_pooler', 'DATABASE_URL leads to a transaction pooler', how)]
    }
    if (!config.worker.notify) return [tell('wake_by_polling', `QUEUE_NOTIFY is off: workers ${polls}`)]
    const transport = open()
    try {
      const beganMs = performance.now()
      const stop = (await transport.listen?.(() => {})) ?? null
      const tookMs = Math.round(performance.now() - beganMs)
      await stop?.()
      const way = pooler ? 'a session pooler' : 'a direct connection'
      if (stop !== null)
        return [tell('listen_works', `notifications arrive over ${way} (LISTEN and a probe in ${tookMs} ms)`)]
    } finally {
      await transport.close()
    }
    const how =
      'Connect to the session pooler or to the database itself; or set QUEUE_NOTIFY=off and accept polling.'
    return [tell('listen_silent', 'LISTEN is accepted, but a probe notification does not arrive', how)]
  },
})
