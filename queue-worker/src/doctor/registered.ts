/** Who told the registry that it lives: workers, and schedulers without a worker. */
import type { Diagnosis } from './diagnosis.ts'

export type Registered = Diagnosis['workers'][number]

/** They tell so every 30 s. */
const LIVE_SECONDS = 90

/** Without those that our own tests of a set-up started. */
export function registered({ workers }: Diagnosis): Registered[] {
  return workers.filter(({ worker_id: id }) => !/^(doctor|stress)_[0-9a-f]{16}$/.test(id))
}

export function isLive({ stopping, seen_seconds: seen }: Registered): boolean {
  return !stopping && seen < LIVE_SECONDS
}

export function named({ worker_id: id, host, pid }: Registered): string {
  return `${id} (${id === host ? '' : `${host}, `}process ${pid})`
}
