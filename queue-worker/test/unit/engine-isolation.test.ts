/** Suspects and the child they run in: an answer of the child is always taken for the message it is of. */
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import type { Ending } from '../../src/engine/execute.ts'
import { createIsolation, type Isolation } from '../../src/engine/isolation.ts'
import type { Lease } from '../../src/engine/leases.ts'
import { DEFAULT_CONSUMER } from '../../src/engine/settings.ts'
import { LeaseLostError } from '../../src/errors.ts'
import { Cancellation } from '../../src/utils/cancellation.ts'

const now = () => performance.now()
let isolation: Isolation
afterEach(() => isolation.close())

function leaseOf(msgId: string): Lease {
  const message = {
    queue: 'q',
    msgId,
    delivery: 3,
    failures: 0,
    interruptions: 2,
    diedAlone: 0,
    enqueuedAt: '2026-11-22 10:00:00+00',
    waitedMs: 0,
    originKey: msgId,
    payload: {},
    headers: null,
  }
  const cancellation = new Cancellation()
  const rest = { visibilityTimeoutSeconds: 30, readAtMs: now(), deadlineMs: now() + 30_000 }
  return { message, cancellation, ...rest, settling: false, lost: false }
}

test('a suspect whose lease was lost while the child started leaves no answer to the next ones', async () => {
  isolation = createIsolation({
    entry: fileURLToPath(new URL('../support/slow-child.ts', import.meta.url)),
    environment: { ...process.env, NODE_NO_WARNINGS: '1' },
    connection: { kind: 'rpc', url: 'http://127.0.0.1:1', key: 'none' },
    workerId: 'test',
    modules: [],
    queues: ['q'],
    logging: { level: 'silent', secrets: [] },
    queue: { isolate: async () => true },
    emit: () => {},
    now,
  })
  const run = async (lease: Lease, timeoutMs: number): Promise<Ending> => {
    const { promise, resolve } = Promise.withResolvers<Ending>()
    await isolation.run(
      lease,
      { ...DEFAULT_CONSUMER, timeoutMs },
      { mayStart: () => true, onStart() {}, onEnd: async (ending) => resolve(ending) },
    )
    return promise
  }
  const lost = leaseOf('1')
  const first = run(lost, 60_000)
  setTimeout(() => lost.cancellation.abort(new LeaseLostError('it was lost')), 100)
  expect((await first).outcome).toBeNull()
  // Its time limit counts from when it runs, not from when the child is started.
  expect(await run(leaseOf('2'), 300)).toMatchObject({ outcome: { kind: 'archive' }, ranMs: 2 })
  expect(await run(leaseOf('3'), 60_000)).toMatchObject({ outcome: { kind: 'archive' }, ranMs: 3 })
})
