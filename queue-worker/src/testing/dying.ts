/** A connection of a worker that dies: what it says from then on never arrives. */
import type { Transport } from '../queue/contract.ts'

/**
 * The worker believes that outcomes are recorded, and they are not: as if it had died before it could say how anything ended. With a
 * step's name it dies in the middle of that step: after the effect, before that is recorded.
 */
export function dying(connection: Transport, step: string | undefined): Transport {
  return {
    ...connection,
    async call(entryPoint, request) {
      if (entryPoint === 'settle') return settlementsOf(request).map(() => ({ status: 'ok' }))
      if (entryPoint === 'ledger_finish' && step !== undefined && stepOf(request) === step) {
        throw new Error(`the test kit let the worker die during step "${step}"`)
      }
      return connection.call(entryPoint, request)
    },
  }
}

function settlementsOf(request: unknown): readonly unknown[] {
  const settlements: unknown = Reflect.get(Object(request), 'settlements')
  return Array.isArray(settlements) ? settlements : []
}

function stepOf(request: unknown): unknown {
  return Reflect.get(Object(request), 'step')
}
