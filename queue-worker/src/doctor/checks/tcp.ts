/** Whether somebody accepts connections there. */
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

export const tcp = defineCheck({
  name: 'tcp',
  group: 'Connection',
  needs: ['dns'],
  catalog: {
    port_open: { severity: 'ok', why: '' },
    port_closed: { severity: 'error', why: 'A worker cannot reach its database.' },
  },
  async run({ endpoint, config }: Parts, tell) {
    const beganMs = performance.now()
    try {
      const socket = await endpoint.connect(config.connection.connectTimeoutMs)
      socket.destroy()
    } catch (error) {
      const { message, remedy } = endpoint.classify(error)
      return [tell('port_closed', message, remedy)]
    }
    return [
      tell(
        'port_open',
        `${endpoint.name} accepts connections (${Math.round(performance.now() - beganMs)} ms)`,
      ),
    ]
  },
})
