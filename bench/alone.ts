/** An idle worker in a process of its own, whose processor time is then nobody else's. Tells what it measured. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor } from '../queue-worker/src/library.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { connect } from '../queue-worker/src/services/connect.ts'

export type Orders = {
  readonly connection: ConnectionSettings
  readonly queues: readonly string[]
  readonly seconds: number
}

/** Calls (statements or requests) and processor time of so many seconds. */
export type Measured = { readonly calls: number; readonly cpuPercent: number }

/** By then the worker has become calm. */
const CALM_MS = 20_000

process.once('message', async ({ connection, queues, seconds }: Orders) => {
  const transport = connect(connection)
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
  await sleep(CALM_MS)
  const before = { calls, cpu: process.cpuUsage() }
  await sleep(seconds * 1000)
  const { user, system } = process.cpuUsage(before.cpu)
  const measured: Measured = {
    calls: calls - before.calls,
    cpuPercent: (user + system) / (seconds * 10_000),
  }
  await worker.stop('measured')
  process.send?.(measured)
  process.disconnect()
})
