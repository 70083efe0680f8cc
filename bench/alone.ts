/** A worker in a process of its own, whose memory and processor time are then nobody else's. Prints what it measured. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor } from '../queue-worker/src/library.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { connect } from '../queue-worker/src/services/connect.ts'
import { drain } from './drain.ts'

export type Orders =
  | {
      readonly do: 'drain'
      readonly connection: ConnectionSettings
      readonly queue: string
      readonly messages: number
    }
  | {
      readonly do: 'idle'
      readonly connection: ConnectionSettings
      readonly queues: readonly string[]
      readonly seconds: number
    }

export type Measured = {
  readonly peakMb: number
  readonly rate: number
  readonly calls: number
  readonly cpuPercent: number
}

process.once('message', async (orders: Orders) => {
  const transport = connect(orders.connection)
  const measured = orders.do === 'drain' ? await drained(orders) : await idle(orders)
  process.send?.({
    peakMb: process.resourceUsage().maxRSS / 1024,
    rate: 0,
    calls: 0,
    cpuPercent: 0,
    ...measured,
  })
  process.disconnect()

  async function drained({ queue, messages }: Extract<Orders, { do: 'drain' }>) {
    return { rate: await drain({ connection: transport, queue, messages, concurrency: 500, batchSize: 500 }) }
  }

  /** Calls and processor time of so many seconds, once the worker has become calm. */
  async function idle({ queues, seconds }: Extract<Orders, { do: 'idle' }>) {
    let calls = 0
    const counting: typeof transport = {
      ...transport,
      call(entryPoint, request) {
        calls += 1
        return transport.call(entryPoint, request)
      },
    }
    const processors = queues.map((queue) =>
      defineProcessor({ queue, payload: z.unknown(), process: () => {} }),
    )
    const worker = createWorker({ connection: counting, processors, logger: 'silent' })
    await worker.start()
    await sleep(20_000)
    const before = { calls, cpu: process.cpuUsage() }
    await sleep(seconds * 1000)
    const { user, system } = process.cpuUsage(before.cpu)
    const result = { calls: calls - before.calls, cpuPercent: (user + system) / (seconds * 10_000) }
    await worker.stop('measured')
    return result
  }
})
