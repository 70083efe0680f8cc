/** Whether this machine's clock agrees with the database's. */
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

const TOLERATED_MS = 5000

export const clock = defineCheck({
  name: 'clock',
  group: 'Database',
  needs: ['migration'],
  catalog: {
    clock_ok: { severity: 'ok', why: '' },
    clock_skew: {
      severity: 'warning',
      why: 'Leases do not depend on it, but keys and certificates, times of schedules and logs, and signatures of callbacks do.',
    },
  },
  async run({ diagnose }: Parts, tell) {
    const before = Date.now()
    const { now } = await diagnose()
    const after = Date.now()
    const theirs = Date.parse(now)
    // Their clock was read at some moment of the call: only beyond both ends is it surely off.
    const offMs = theirs < before ? theirs - before : theirs > after ? theirs - after : 0
    if (Math.abs(offMs) <= TOLERATED_MS)
      return [tell('clock_ok', 'the clocks of here and of the database agree')]
    const how = 'Let both set their clocks by NTP (timedatectl set-ntp true); look at this machine first.'
    const seconds = Math.round(Math.abs(offMs) / 1000)
    const which = offMs < 0 ? 'ahead of' : 'behind'
    return [
      tell('clock_skew', `the clock of this machine is ${seconds} s ${which} that of the database`, how),
    ]
  },
})
