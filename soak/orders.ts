/** What a worker process is told by its starter; travels in one environment variable, also to its child for suspects. */
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'

export type Orders = {
  readonly connection: ConnectionSettings
  readonly journal: string
  /** Slot and number of the life, "rpc-1#3". */
  readonly life: string
}

export const ORDERS = 'QUEUE_WORKER_SOAK_ORDERS'

export function readOrders(): Orders {
  return JSON.parse(process.env[ORDERS] ?? '{}')
}
