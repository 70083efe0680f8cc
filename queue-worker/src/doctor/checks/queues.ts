/** The queues that a worker with these settings reads, and their dead-letter queues. */
import { defineCheck, type MendableFinding } from '../finding.ts'
import type { Parts } from '../parts.ts'

/** Messages that are due for longer than this are taken by nobody. */
const WAITING_SECONDS = 300

export const queues = defineCheck({
  name: 'queues',
  group: 'Queues',
  needs: ['migration'],
  catalog: {
    queue_ok: { severity: 'ok', why: '' },
    queue_missing: {
      severity: 'warning',
      why: 'Until a worker has started, pgmq.send fails for whoever sends.',
    },
    dead_letter_queue_missing: {
      severity: 'warning',
      why: 'It is made with the first dead letter; whoever looks for dead letters before that gets an error.',
    },
    queue_paused: { severity: 'warning', why: 'No worker reads it; messages wait.' },
    messages_wait: { severity: 'warning', why: 'Workers are down, too few, or too slow for what comes.' },
    dead_letters: { severity: 'note', why: 'They wait for somebody to decide: redrive or discard them.' },
  },
  async run({ diagnose, queue, queues: names, config }: Parts, tell) {
    const counts = new Map((await queue.counts(names)).map((one) => [one.queue, one]))
    const found: MendableFinding[] = []
    for (const one of (await diagnose()).queues) {
      const mend = async () => {
        await queue.ensureQueue(one.queue, {
          notify: config.worker.notify && config.transport === 'postgres',
        })
        return `created what was missing of queue ${one.queue}`
      }
      if (!one.exists) {
        const how = `Start a worker, which creates it, or: select pgmq.create('${one.queue}');`
        found.push(tell('queue_missing', `there is no queue ${one.queue}`, how, mend))
        continue
      }
      const before = found.length
      if (!one.dead_letter_queue) {
        const how = `Start a worker, which creates it, or: select pgmq.create('${one.queue}_dlq');`
        found.push(
          tell('dead_letter_queue_missing', `queue ${one.queue} has no dead-letter queue`, how, mend),
        )
      }
      if (one.paused) {
        const how = `When it may go on: select queue_worker_set_paused('{"protocol": 1, "queue": "${one.queue}", "paused": false}');`
        found.push(tell('queue_paused', `queue ${one.queue} is paused`, how))
      }
      const { ready = 0, dead = 0, oldestReadySeconds = null } = counts.get(one.queue) ?? {}
      if (!one.paused && (oldestReadySeconds ?? 0) > WAITING_SECONDS) {
        const how = 'Look at what is found for the workers below, at their logs, and raise their number.'
        const age = Math.round((oldestReadySeconds ?? 0) / 60)
        found.push(tell('messages_wait', `queue ${one.queue}: ${ready} due, the oldest for ${age} min`, how))
      }
      if (dead > 0) {
        const how = `Read them: select * from pgmq.q_${one.queue}_dlq; and redrive them as the README says.`
        found.push(tell('dead_letters', `queue ${one.queue} has dead letters: ${dead}`, how))
      }
      if (found.length === before)
        found.push(tell('queue_ok', `queue ${one.queue} is there (${ready} ready)`))
    }
    return found
  },
})
