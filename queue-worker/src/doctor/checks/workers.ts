/** The registry: which workers live, and whether every queue has one. */
import { packageVersion } from '../../version.ts'
import { defineCheck, type MendableFinding } from '../finding.ts'
import type { Parts } from '../parts.ts'
import { isLive, named, type Registered, registered } from '../registered.ts'

const RECENT_SECONDS = 3600

export const workers = defineCheck({
  name: 'workers',
  group: 'Workers',
  needs: ['migration'],
  catalog: {
    worker_alive: { severity: 'ok', why: '' },
    no_worker: { severity: 'warning', why: 'Messages are sent, and nobody works on them.' },
    queue_unserved: { severity: 'warning', why: 'Workers live, but messages of this queue wait for ever.' },
    worker_draining: { severity: 'note', why: 'It finishes what it has and takes nothing new.' },
    worker_other_version: {
      severity: 'note',
      why: 'That is fine while you deploy; afterwards it is a leftover.',
    },
    worker_disappeared: {
      severity: 'warning',
      why: 'It died without a word (killed, out of memory, machine gone); its messages came back by themselves.',
    },
  },
  async run({ diagnose, queues }: Parts, tell) {
    const all = registered(await diagnose()).filter((one) => one.queues.length > 0)
    const live = all.filter(isLive)
    const found: MendableFinding[] = live.map((one) => {
      const seen = Math.round(one.seen_seconds)
      return tell('worker_alive', `worker ${named(one)} reads ${one.queues.join(', ')} (seen ${seen} s ago)`)
    })
    const how = 'Start one: npm start, or what you deploy it with. Its log says why if it cannot.'
    if (live.length === 0) found.push(tell('no_worker', 'no worker is alive', how))
    for (const queue of live.length === 0 ? [] : queues) {
      if (live.some((one) => !one.drain && one.queues.includes(queue))) continue
      const which = `Set QUEUES of a worker so that it has ${queue} in it, or leave QUEUES out; and what ${queue} needs.`
      found.push(tell('queue_unserved', `no live worker reads ${queue}`, which))
    }
    for (const one of live.filter(({ drain }) => drain)) {
      const undo = `To keep it: update queue_worker.workers set drain = false where worker_id = '${one.worker_id}';`
      found.push(tell('worker_draining', `worker ${named(one)} was asked to drain and stop`, undo))
    }
    for (const one of live.filter(({ version }) => version !== packageVersion())) {
      const what = `worker ${named(one)} is version ${one.version}; this is ${packageVersion()}`
      found.push(tell('worker_other_version', what, 'Deploy it again if it was forgotten.'))
    }
    for (const one of all.filter((gone) => hasDisappeared(gone, live))) {
      const minutes = Math.round(one.seen_seconds / 60)
      const what = `worker ${named(one)} was last seen ${minutes} min ago and did not say that it stops`
      found.push(
        tell('worker_disappeared', what, 'Look at its log and at what supervises it; start it again.'),
      )
    }
    return found
  },
})

/** One that was started again under its name is not missed. */
function hasDisappeared(one: Registered, live: readonly Registered[]): boolean {
  const isGone = !one.stopping && !isLive(one) && one.seen_seconds < RECENT_SECONDS
  return isGone && !live.some(({ worker_id: id }) => id === one.worker_id)
}
