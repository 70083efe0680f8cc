/** The most memory that the program itself needs (`queue-worker worker`, as it is built) while it drains a deep queue. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Setting } from './setting.ts'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/**
 * Megabytes of resident memory at the peak, after so many messages in batches of 500. V8 puts off collecting its garbage by how much
 * memory the machine has; `heap` are flags that bound that.
 */
export async function peakMb(
  setting: Setting,
  queue: string,
  environment: Readonly<Record<string, string>>,
  heap: readonly string[],
  messages: number,
): Promise<number> {
  const archived = async () => {
    const [row] = await setting.sql`select count(*)::int as n from ${setting.sql(`pgmq.a_${queue}`)}`
    return Number(row?.n)
  }
  const before = await archived()
  const child = spawn(process.execPath, [...heap, path('../dist/index.js'), 'worker'], {
    env: {
      ...{ PATH: process.env.PATH, PROCESSORS: path('processors'), BENCH_QUEUE: queue, QUEUES: queue },
      ...{ WORKER_CONCURRENCY: '500', WORKER_BATCH_SIZE: '500' },
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  while ((await archived()) - before < messages) {
    if (child.exitCode !== null) throw new Error(`the worker ended with ${child.exitCode}`)
    await sleep(200)
  }
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  child.kill('SIGTERM')
  await exited
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
