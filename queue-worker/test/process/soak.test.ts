/** A short soak on both transports, as `npm run soak` does it, with a plan that has almost every fault in it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { Ledger } from '../../../soak/ledger.ts'

const program = fileURLToPath(new URL('../../../soak/index.ts', import.meta.url))
const ARGUMENTS = ['--seed', '7', '--minutes', '0.4', '--rate', '15', '--json']

test('a short soak loses nothing, doubles nothing without a reason, and has every effect as promised', {
  timeout: 400_000,
}, async () => {
  const child = spawn(process.execPath, [program, ...ARGUMENTS], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })
  // Also when the test has run out of its time. Asked, it clears away what it started; nobody else would.
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    const timer = setTimeout(() => child.kill('SIGKILL'), 45_000)
    child.kill('SIGTERM')
    await ended
    clearTimeout(timer)
  }, 60_000)
  const exited = once(child, 'exit')
  const [output, said] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await exited
  expect(code, said).toBe(0)
  const { ledger } = JSON.parse(output) as { ledger: Ledger }
  expect(ledger.defects).toEqual([])
  const dead = Object.values(ledger.dead).reduce((sum, count) => sum + count, 0)
  expect(ledger.archived + ledger.deleted + dead).toBe(ledger.sent + ledger.followUps)
  // It was no walk in the park: everything that the ledger has an account for did happen.
  expect(ledger.sent).toBeGreaterThan(250)
  expect(Object.keys(ledger.faults).length).toBeGreaterThan(8)
  expect(ledger.workersStarted).toBeGreaterThan(5)
  expect(ledger.doubled.byReason['its worker was taken along by a poison message']).toBeGreaterThan(0)
  expect(ledger.effects).toMatchObject({
    transaction: expect.toSatisfy((count: number) => count > 0),
    hold: expect.toSatisfy((count: number) => count > 0),
    repeat: expect.toSatisfy((count: number) => count > 0),
  })
  expect(ledger.dead).toMatchObject({ invalid_payload: expect.any(Number) })
  expect(said).toContain('--seed 7')
})
