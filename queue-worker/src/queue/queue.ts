/** The queue over any transport: requests in the protocol's JSON, answers checked and typed. See docs/protocol.md. */
import type { z } from 'zod'
import { ConnectionFailure } from '../errors.ts'
import type { Queue, Settlement, Transport } from './contract.ts'
import { createDashboard } from './dashboard-queue.ts'
import { createOperator } from './operator-queue.ts'
import { leaseRow, readRequest, sendRow, settlementRow, storableValue } from './requests.ts'
import * as rows from './rows.ts'

/** The protocol this worker speaks; a database that is older refuses it (QW001), a newer one does not mind. */
export const PROTOCOL = 2

type Call = Transport['call']

export function createQueue(transport: Transport): Queue {
  const ask = asker(transport.call)
  return {
    transport: transport.kind,
    target: transport.target,
    settings: transport.settings,
    read: (demands, maxBytes) => ask('read', readRequest(demands, maxBytes), rows.readRows),
    settle: (settlements, workerId) => settleOver(transport.call, settlements, workerId),
    exchange: (settlements, workerId, demands, maxBytes) =>
      ask(
        'exchange',
        {
          worker_id: workerId,
          settlements: settlements.map(settlementRow),
          ...readRequest(demands, maxBytes),
        },
        rows.exchangeRows,
      ),
    extend: (extensions) => ask('extend', { leases: extensions.map(leaseRow) }, rows.extendRows),
    isolate: async (extension, workerId) =>
      (await transport.call('isolate', {
        protocol: PROTOCOL,
        worker_id: workerId,
        lease: leaseRow(extension),
      })) === true,
    send: (sends) => ask('send', { sends: sends.map(sendRow) }, rows.sendRows),
    ensureQueue: async (queue, options) =>
      void (await tell('ensure_queue', { queue, notify: options.notify })),
    setPaused: async (queue, paused, by) => void (await tell('set_paused', { queue, paused, by })),
    setRateLimit: async (queue, limit, by) =>
      void (await tell('set_rate_limit', {
        queue,
        max_messages: limit?.maxMessages ?? null,
        period_seconds: limit?.periodSeconds,
        by,
      })),
    ledgerStart: (originKey, step, repeat, token) =>
      ask('ledger_start', { origin_key: originKey, step, repeat, token }, rows.ledgerRow),
    ledgerFinish: async (originKey, step, result) =>
      void (await tell('ledger_finish', { origin_key: originKey, step, result: storableValue(result) })),
    ledgerForget: async (originKey, step, token) =>
      void (await tell('ledger_forget', { origin_key: originKey, step, token })),
    beat: ({ workerId, inFlight, ...beat }) =>
      ask('beat', { ...beat, worker_id: workerId, in_flight: inFlight }, rows.beatRow),
    status: () => ask('status', {}, rows.statusRow),
    counts: (queues) => ask('counts', { queues }, rows.countRows),
    ...createOperator(ask),
    ...createDashboard(ask),
    close: () => transport.close(),
    ...(transport.listen ? { listen: transport.listen } : {}),
    ...(transport.transaction ? { transaction: transport.transaction } : {}),
  }

  function tell(entryPoint: string, request: object): Promise<unknown> {
    return transport.call(entryPoint, { protocol: PROTOCOL, ...request })
  }
}

/** Settles over any way to call entry points; `context.transaction` uses it with the transaction's own. */
export function settleOver(call: Call, settlements: readonly Settlement[], workerId: string) {
  return asker(call)(
    'settle',
    { worker_id: workerId, settlements: settlements.map(settlementRow) },
    rows.settleRows,
  )
}

/** Asks entry points in this protocol. Its answers fit the schema, else it throws ConnectionFailure. */
export function asker(call: Call) {
  return async <T>(entryPoint: string, request: object, schema: z.ZodType<T>): Promise<T> => {
    const answer = schema.safeParse(await call(entryPoint, { protocol: PROTOCOL, ...request }))
    if (answer.success) return answer.data
    throw new ConnectionFailure(
      'rejected',
      `queue_worker_${entryPoint} answered in a form this worker does not know: ${answer.error.message}`,
      'Apply the migration that belongs to this worker: npx queue-worker migrate',
      false,
    )
  }
}
