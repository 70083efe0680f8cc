/** A transport that notes what its worker was given, how long it may keep it, and each call that failed or took long. */
import type { Transport } from '../queue-worker/src/library.ts'
import { deliveryKey, type Journal, type LineOf } from './journal.ts'

/** A timer that is this much late, or a call that takes this long, tells of a process, a server or a machine that stood still. */
export const STALL_MS = 800

type Receipt = { readonly queue: string; readonly msg_id: string | number; readonly delivery: number }
type Lease = Receipt & { readonly vt_seconds: number }
/** What is looked at of the protocol's requests; each has only some of it. */
type Request = {
  readonly leases?: readonly Lease[]
  readonly lease?: Lease
  readonly settlements?: readonly (Receipt & { readonly sends?: readonly { readonly queue: string }[] })[]
  readonly queues?: readonly { readonly queue: string; readonly vt_seconds: number }[]
}
type Read = { readonly messages?: readonly Receipt[] }
type Touched = Pick<LineOf<'failed'>, 'queues' | 'of'>

export function noting(transport: Transport, { note }: Journal): Transport {
  return {
    ...transport,
    async call(entryPoint, asked) {
      const request = asked as Request
      const sentT = Date.now()
      const answer = await watched(entryPoint, touched(request), () => transport.call(entryPoint, asked))
      if (entryPoint === 'read') given(answer as Read | null, request, sentT)
      if (entryPoint === 'exchange') given((answer as { read?: Read } | null)?.read, request, sentT)
      if (entryPoint === 'extend') held(request.leases ?? [], answer, sentT)
      if (entryPoint === 'isolate') held(request.lease ? [request.lease] : [], [answer], sentT)
      return answer
    },
    ...(transport.transaction ? { transaction: notingTransaction(transport.transaction) } : {}),
  }

  /** Of a transaction only what it settles is of interest: which messages its end leaves open when it fails. */
  function notingTransaction(begin: NonNullable<Transport['transaction']>): typeof begin {
    return (run) => {
      const all = { queues: [] as string[], of: [] as string[] }
      return watched('transaction', all, () =>
        begin((sql, call) =>
          run(sql, (entryPoint, asked) => {
            const { queues, of } = touched(asked as Request)
            all.queues.push(...queues)
            all.of.push(...of)
            return call(entryPoint, asked)
          }),
        ),
      )
    }
  }

  /** A call that hangs is noted while it does: its worker may not live to see the end of it. */
  async function watched<T>(call: string, names: Touched, action: () => Promise<T>): Promise<T> {
    const sentMs = performance.now()
    let toldMs = sentMs
    const stalled = () => {
      const ms = Math.round(performance.now() - toldMs)
      toldMs = performance.now()
      note({ what: 'stall', ms, call, ...names })
    }
    const timer = setInterval(stalled, STALL_MS)
    try {
      return await action()
    } catch (error) {
      const ms = Math.round(performance.now() - sentMs)
      note({ what: 'failed', ms, call, ...names, text: String(error).slice(0, 200) })
      throw error
    } finally {
      clearInterval(timer)
      if (toldMs > sentMs || performance.now() - toldMs > STALL_MS) stalled()
    }
  }

  function given(read: Read | null | undefined, request: Request, sentT: number): void {
    const seconds = new Map(request.queues?.map(({ queue, vt_seconds }) => [queue, vt_seconds]))
    for (const { queue, msg_id, delivery } of read?.messages ?? []) {
      const until = sentT + (seconds.get(queue) ?? 0) * 1000
      note({ what: 'read', queue, msgId: String(msg_id), delivery, until })
    }
  }

  function held(leases: readonly Lease[], answer: unknown, sentT: number): void {
    for (const [index, { queue, msg_id, delivery, vt_seconds }] of leases.entries()) {
      if (!Array.isArray(answer) || answer[index] !== true) continue
      note({ what: 'held', queue, msgId: String(msg_id), delivery, until: sentT + vt_seconds * 1000 })
    }
  }
}

function touched({ leases = [], lease, settlements = [], queues = [] }: Request): Touched {
  const sends = settlements.flatMap((settlement) => settlement.sends ?? [])
  const receipts = [...leases, ...(lease ? [lease] : []), ...settlements]
  return {
    queues: [...new Set([...receipts, ...queues, ...sends].map(({ queue }) => queue))],
    of: receipts.map(({ queue, msg_id, delivery }) =>
      deliveryKey({ queue, msgId: String(msg_id), delivery }),
    ),
  }
}
