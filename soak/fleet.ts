/** The worker processes: started, struck, started again, and looked after when they end by themselves. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import type { Journal } from './journal.ts'
import { ORDERS, type Orders } from './orders.ts'

export type Fleet = {
  /** Resolves when every worker reads; rejects when one ends before. */
  start(): Promise<void>
  /** SIGKILL; it stays away until `revive`. False: there was no process, it is between two lives. */
  kill(slot: string): Promise<boolean>
  /** SIGTERM, and waits until it has ended; it stays away until `revive`. False as above. */
  stop(slot: string): Promise<boolean>
  revive(slot: string): void
  /** False as above. */
  freeze(slot: string): boolean
  thaw(slot: string): void
  /** Ends all of them: with SIGTERM as a deploy would. Frozen ones are thawed. */
  close(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

type Slot = {
  readonly name: string
  readonly connection: ConnectionSettings
  lives: number
  child: ChildProcess | null
  ready: Promise<void>
  isHeld: boolean
  asked: string | null
}

const program = fileURLToPath(new URL('worker.ts', import.meta.url))
/** A stop with a drain limit of a second takes longer only when the database hangs; then its limits add up to this. */
const STOP_LIMIT_MS = 40_000
const RESTART_MS = 200

export function createFleet(options: {
  readonly connections: Readonly<Record<string, ConnectionSettings>>
  readonly journal: Journal
  readonly journalPath: string
  readonly logPath: string
}): Fleet {
  const { journal } = options
  const log = openSync(options.logPath, 'a')
  let isClosing = false
  const slots = new Map(
    Object.entries(options.connections).map(([name, connection]): [string, Slot] => [
      name,
      { name, connection, lives: 0, child: null, ready: Promise.resolve(), isHeld: false, asked: null },
    ]),
  )

  function launch(slot: Slot): void {
    if (slot.child !== null || slot.isHeld || isClosing) return
    slot.lives += 1
    slot.asked = null
    const life = `${slot.name}#${slot.lives}`
    const orders: Orders = { connection: slot.connection, journal: options.journalPath, life }
    const child = spawn(process.execPath, [program], {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, [ORDERS]: JSON.stringify(orders), NODE_NO_WARNINGS: '1' },
    })
    slot.child = child
    slot.ready = new Promise((resolve, reject) => {
      child.once('message', () => resolve())
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`worker ${life} ended before it was ready`)))
    })
    slot.ready.catch(() => {})
    child.once('exit', (code, signal) => {
      journal.note({ what: 'gone', life, code, signal, asked: slot.asked })
      slot.child = null
      setTimeout(() => launch(slot), RESTART_MS)
    })
  }

  async function end(slot: Slot, signal: 'SIGKILL' | 'SIGTERM'): Promise<boolean> {
    const { child } = slot
    slot.isHeld = true
    if (child === null) return false
    const exited = once(child, 'exit')
    slot.asked = signal
    child.kill(signal)
    // What was frozen hears of it only now.
    child.kill('SIGCONT')
    const limit = new AbortController()
    const isOver = await Promise.race([
      exited.then(() => true),
      sleep(STOP_LIMIT_MS, false, { signal: limit.signal }).catch(() => true),
    ])
    limit.abort()
    if (isOver) return true
    journal.note({ what: 'wrong', text: `${slot.name} did not stop within ${STOP_LIMIT_MS / 1000} s` })
    slot.asked = 'SIGKILL'
    child.kill('SIGKILL')
    await exited
    return true
  }

  const find = (name: string): Slot => {
    const slot = slots.get(name)
    if (slot === undefined) throw new Error(`there is no worker ${name}`)
    return slot
  }

  return {
    async start() {
      for (const slot of slots.values()) launch(slot)
      await Promise.all([...slots.values()].map((slot) => slot.ready))
    },
    kill: (name) => end(find(name), 'SIGKILL'),
    stop: (name) => end(find(name), 'SIGTERM'),
    revive(name) {
      const slot = find(name)
      slot.isHeld = false
      launch(slot)
    },
    freeze: (name) => find(name).child?.kill('SIGSTOP') ?? false,
    thaw: (name) => void find(name).child?.kill('SIGCONT'),
    async close(signal = 'SIGTERM') {
      isClosing = true
      await Promise.all([...slots.values()].map((slot) => end(slot, signal)))
    },
  }
}
