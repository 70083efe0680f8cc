/** One soak: sends and strikes as planned, mends everything, waits until the queues are empty, and counts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { countNow, type Evidence, gatherEvidence } from './evidence.ts'
import { createFaults, resume } from './faults.ts'
import { insist } from './insist.ts'
import { type Line, MEND_ID, readJournal } from './journal.ts'
import { QUEUES } from './kinds.ts'
import { drawLedger, type Ledger } from './ledger.ts'
import type { Plan } from './plan.ts'
import type { Fault } from './plan-faults.ts'
import { startSending } from './producer.ts'
import { showProgress } from './progress.ts'
import type { PlanSettings } from './settings.ts'
import { createShortages } from './shortages.ts'
import { createWorld, removeFolder, type World } from './world.ts'

/** After the last fault the producer has this long to get the rest through, and then the workers to empty the queues. */
const SEND_LIMIT_MS = 60_000
const DRAIN_LIMIT_MS = 240_000

export type SoakResult = {
  readonly ledger: Ledger
  readonly evidence: Evidence
  readonly journal: readonly Line[]
  /** With the journal and the workers' log; removed unless there are defects. */
  readonly folder: string
}

/** When `signal` is aborted, or on an error, everything is ended and removed, and it rejects. */
export async function runSoak(
  settings: PlanSettings,
  plan: Plan,
  screen: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<SoakResult> {
  const world = await createWorld(settings)
  let isKept = false
  try {
    await live(world, settings, plan, screen, signal)
    const evidence = await insist(() => gatherEvidence(world.admin), signal)
    await world.close()
    const journal = readJournal(world.journalPath)
    const ledger = drawLedger(plan, evidence, journal)
    isKept = ledger.defects.length > 0
    return { ledger, evidence, journal, folder: world.folder }
  } finally {
    await world.close()
    if (!isKept) await removeFolder(world.folder)
  }
}

async function live(
  world: World,
  settings: PlanSettings,
  plan: Plan,
  screen: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<void> {
  const { admin, app, fleet, journal, producers } = world
  signal.throwIfAborted()
  const over = new AbortController()
  const end = () => {
    over.abort(signal.reason)
    // Frozen ones too; and who waits for one to stop waits no longer.
    void fleet.close('SIGKILL')
  }
  signal.addEventListener('abort', end)
  const wait = (ms: number) => sleep(Math.max(0, ms), undefined, { signal: over.signal })
  await fleet.start()
  const startedMs = performance.now()
  const elapsedMs = () => performance.now() - startedMs
  const totalMs = settings.seconds * 1000
  const sending = startSending({ messages: plan.messages, sql: app, producers, journal })
  const current = new Map<number, Fault>()
  const progress = showProgress(screen, {
    elapsedMs,
    totalMs,
    sent: () => sending.sent,
    counts: () => countNow(admin),
    faults: () => [...current.values()],
  })
  const strike = createFaults({ ...world, sql: admin })

  async function suffer(fault: Fault): Promise<void> {
    await wait(fault.atMs - elapsedMs())
    current.set(fault.id, fault)
    const repair = await strike(fault)
    // Whatever happens, what was struck is repaired: nobody else knows of it.
    await wait(fault.forMs).catch(() => {})
    await repair()
    current.delete(fault.id)
  }

  const suffering = plan.faults.map(suffer)
  try {
    await Promise.all(suffering)
    await wait(totalMs - elapsedMs())
    await mend(world, settings)
    if (!(await sending.done(SEND_LIMIT_MS))) {
      journal.note({ what: 'wrong', text: 'the producer could not send everything' })
    }
    const giveUpMs = performance.now() + DRAIN_LIMIT_MS
    const isEmpty = async () => (await insist(() => countNow(admin), signal)).waiting === 0
    while (performance.now() < giveUpMs && !(await isEmpty())) await wait(300)
    await fleet.close()
    signal.throwIfAborted()
  } finally {
    over.abort()
    progress.stop()
    await Promise.allSettled([...suffering, sending.done(0)])
    signal.removeEventListener('abort', end)
  }
}

/** The network is well again, what still hangs in it is told so, and whatever a repair could not mend is mended now. */
async function mend({ proxies, stack, admin, journal }: World, settings: PlanSettings): Promise<void> {
  const tell = (phase: 'begin' | 'end') =>
    journal.note({ what: 'fault', id: MEND_ID, kind: 'mend', target: '', phase })
  tell('begin')
  for (const proxy of Object.values(proxies)) {
    proxy.set('pass')
    proxy.cut()
  }
  await stack.startPostgres()
  if (settings.transports.includes('rpc')) await stack.startPostgrest()
  await insist(() => createShortages(admin).endAll())
  await insist(() => resume(admin, Object.values(QUEUES)))
  tell('end')
}
