/** Applies faults: each begins with a blow and ends with its repair. */
import type { Sql } from 'postgres'
import type { ProxyMode, startProxy } from '../queue-worker/test/support/proxy.ts'
import type { Fleet } from './fleet.ts'
import { insist } from './insist.ts'
import type { Journal } from './journal.ts'
import type { Fault, FaultKind } from './plan-faults.ts'
import { createShortages } from './shortages.ts'
import type { SoakStack } from './stack.ts'

export type FaultProxy = Awaited<ReturnType<typeof startProxy>>

export type FaultParts = {
  readonly stack: SoakStack
  readonly fleet: Fleet
  /** By worker and by producer. */
  readonly proxies: Readonly<Record<string, FaultProxy>>
  /** Superuser connections past the proxies. */
  readonly sql: Sql
  readonly journal: Journal
}

type Repair = () => Promise<void> | void
/** `miss` tells that there was nothing to strike. */
type Strike = (target: string, forMs: number, miss: () => void) => Promise<Repair> | Repair

const REDRIVE_AT_ONCE = 20
const nothing: Repair = () => {}

/** Returns how to strike: it resolves with the repair. A fault that cannot be applied (its server is away) is told and skipped. */
export function createFaults(parts: FaultParts): (fault: Fault) => Promise<() => Promise<void>> {
  const { stack, fleet, sql, journal } = parts
  const shortages = createShortages(sql)

  const network = (mode: ProxyMode): Strike => {
    return (target) => {
      const proxy = parts.proxies[target]
      if (proxy === undefined) throw new Error(`there is no proxy ${target}`)
      proxy.set(mode)
      if (mode === 'hang-up') proxy.cut()
      return () => proxy.set('pass')
    }
  }
  const postgres = (how: 'SIGINT' | 'SIGQUIT'): Strike => {
    return async () => {
      await stack.stopPostgres(how)
      return () => stack.startPostgres()
    }
  }

  /** Done and undone in SQL: what was done although its answer was lost is undone too. */
  const inSql = (
    act: (target: string) => Promise<unknown>,
    undo: (target: string) => Promise<void>,
  ): Strike => {
    return async (target) => {
      const repair = () => insist(() => undo(target))
      try {
        await act(target)
      } catch (error) {
        await repair()
        throw error
      }
      return repair
    }
  }

  const strikes: Record<FaultKind, Strike> = {
    async kill(slot, _forMs, miss) {
      if (!(await fleet.kill(slot))) miss()
      return () => fleet.revive(slot)
    },
    async stop(slot, _forMs, miss) {
      if (!(await fleet.stop(slot))) miss()
      return () => fleet.revive(slot)
    },
    freeze(slot, _forMs, miss) {
      if (!fleet.freeze(slot)) miss()
      return () => fleet.thaw(slot)
    },
    async terminate(transport) {
      await shortages.cutConnections(transport)
      return nothing
    },
    connections: inSql(shortages.refuseConnections, shortages.allowConnections),
    postgres_fast: postgres('SIGINT'),
    postgres_immediate: postgres('SIGQUIT'),
    async postgrest_kill() {
      await stack.killPostgrest()
      return () => stack.startPostgrest()
    },
    slow: network('slow'),
    silent: network('silent'),
    held: network('held'),
    half_answer: network('half-answer'),
    hang_up: network('hang-up'),
    lock(queue, forMs) {
      const holding = sql.begin(async (tx) => {
        await tx`lock table ${tx(`pgmq.q_${queue}`)} in access exclusive mode`
        await tx`select pg_sleep(${forMs / 1000})`
      })
      holding.catch(() => {}) // seen by the repair
      return async () => void (await holding)
    },
    disk: inSql(shortages.fillDisk, shortages.freeDisk),
    pause: inSql(
      (queue) => sql`select queue_worker.set_paused(${queue}, true)`,
      (queue) => resume(sql, [queue]),
    ),
    async redrive(queue) {
      await sql`select queue_worker.redrive(${queue}, null, ${REDRIVE_AT_ONCE}, false, null, null)`
      return nothing
    },
  }

  return async (fault) => {
    const { id, kind, target } = fault
    const tell = (phase: 'begin' | 'end' | 'void') => journal.note({ what: 'fault', id, kind, target, phase })
    const failed = (error: unknown) => {
      const text = error instanceof Error ? error.message : String(error)
      journal.note({ what: 'said', text: `fault ${id} (${kind} ${target}): ${text}` })
    }
    tell('begin')
    let repair = nothing
    try {
      repair = await strikes[kind](target, fault.forMs, () => tell('void'))
    } catch (error) {
      failed(error)
      tell('void')
    }
    return async () => {
      try {
        await repair()
      } catch (error) {
        failed(error)
      }
      tell('end')
    }
  }
}

/** What was paused goes on. Throws when the database does not take it. */
export async function resume(sql: Sql, queues: readonly string[]): Promise<void> {
  for (const queue of queues) await sql`select queue_worker.set_paused(${queue}, false)`
}
