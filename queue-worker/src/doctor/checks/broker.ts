/** Whether the AMQP broker lets us in. Publishes nothing. */
import { createBrokerClient } from '../../services/amqp-client.ts'
import { BrokerError } from '../../services/amqp-outage.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const broker = defineCheck({
  name: 'broker',
  group: 'Other systems',
  catalog: {
    broker_ok: { severity: 'ok', why: '' },
    broker_login_refused: { severity: 'error', why: 'Messages of queue amqp wait until the login works.' },
    broker_unreachable: {
      severity: 'error',
      why: 'Messages of queue amqp wait until the broker can be used.',
    },
  },
  async run({ config }: Parts, tell) {
    const { address, caFile } = config.amqp
    if (address === undefined) return []
    const client = createBrokerClient(address, caFile, config.connection.connectTimeoutMs)
    const { name, user, vhost } = client.target
    try {
      const session = await client.open()
      await session.end()
      return [tell('broker_ok', `${name} lets us in as ${user}, vhost ${vhost}`)]
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      const id = error.kind === 'login' ? 'broker_login_refused' : 'broker_unreachable'
      return [tell(id, error.message.replace(error.remedy, '').trim(), error.remedy)]
    }
  },
})
