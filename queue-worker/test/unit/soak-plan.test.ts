/** The plan of a soak: the same for the same seed, and complete. */
import { describe, expect, test } from 'vitest'
import { KINDS, kinds } from '../../../soak/kinds.ts'
import { planSoak } from '../../../soak/plan.ts'
import { FAULTS, type Fault, faultKinds } from '../../../soak/plan-faults.ts'
import { type PlanSettings, readSettings, replayLine } from '../../../soak/settings.ts'

const settings: PlanSettings = {
  seed: 17,
  seconds: 600,
  messagesPerSecond: 40,
  transports: ['rpc', 'postgres'],
  workersPerTransport: 2,
}
const seeds = [1, 2, 3, 17, 2 ** 31 - 1]

describe('the plan of a soak', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(planSoak(settings)).toEqual(planSoak(settings))
    expect(planSoak({ ...settings, seed: 18 })).not.toEqual(planSoak(settings))
  })

  test('comes again with the line that is printed to replay it', () => {
    const words = replayLine({ ...settings, seconds: 24, messagesPerSecond: 2.5 }).split(' -- ')[1] ?? ''
    const { json: _json, ...read } = readSettings(words.split(' '), () => 0)
    expect(read).toEqual({ ...settings, seconds: 24, messagesPerSecond: 2.5 })
  })

  test('has every kind of fault and every kind of message, in about the numbers asked for', () => {
    const { messages, faults } = planSoak(settings)
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(faultKinds))
    expect(new Set(messages.map(({ kind }) => kind))).toEqual(
      new Set(kinds.filter((kind) => kind !== 'follow')),
    )
    expect(new Set(messages.map(({ via }) => via))).toEqual(
      new Set(['sql', 'rolled_back', 'rpc', 'postgres']),
    )
    expect(messages.some(({ twice }) => twice)).toBe(true)
    expect(messages.length / 600).toBeGreaterThan(36)
    expect(messages.length / 600).toBeLessThan(44)
    expect(messages.map(({ n }) => n)).toEqual(messages.map((_, index) => index + 1))
  })

  test.each(seeds)(
    'of seed %i ends every fault in time, and strikes no part that is struck already',
    (seed) => {
      const { faults } = planSoak({ ...settings, seed })
      expect(faults.length).toBeGreaterThan(200)
      const untilMs = new Map<string, number>()
      for (const fault of faults) {
        expect(fault.atMs + fault.forMs).toBeLessThanOrEqual(settings.seconds * 1000)
        expect(fault.atMs).toBeGreaterThan(untilMs.get(partOf(fault)) ?? -1)
        untilMs.set(partOf(fault), fault.atMs + fault.forMs)
      }
    },
  )

  test('over RPC alone has nothing that needs a direct connection', () => {
    const { messages, faults } = planSoak({ ...settings, transports: ['rpc'] })
    expect(
      messages.filter(({ kind, via }) => KINDS[kind].queue === 'transact' || via === 'postgres'),
    ).toEqual([])
    expect(faults.filter(({ target }) => target.includes('postgres') || target.includes('transact'))).toEqual(
      [],
    )
  })

  test('freezes workers for longer than their leases', () => {
    const frozen = planSoak(settings).faults.filter(({ kind }) => kind === 'freeze')
    expect(frozen.length).toBeGreaterThan(0)
    expect(Math.min(...frozen.map(({ forMs }) => forMs))).toBeGreaterThan(3000)
  })

  test.each([
    ['--minutes', '0'],
    ['--workers', '1.5'],
    ['--seed', 'x'],
    ['--transport', 'http'],
  ])('is refused with %s %s', (name, value) => {
    expect(() => readSettings([name, value], () => 1)).toThrow(name)
  })
})

function partOf({ kind, target }: Fault): string {
  return `${FAULTS[kind].on} ${target}`
}
