/** The engine's small parts, each with its neighbours made by hand. */
import { describe, expect, test } from 'vitest'
import { createAgenda } from '../../src/engine/agenda.ts'
import { createLeases } from '../../src/engine/leases.ts'
import { createOnce, currentStep } from '../../src/engine/ledger.ts'
import { createOutage } from '../../src/engine/outage.ts'
import { LATE_MS } from '../../src/engine/pacing.ts'
import { createSettler, type Settler } from '../../src/engine/settler.ts'
import {
  ConnectionFailure,
  EffectNotDoneError,
  LeaseLostError,
  StoppingError,
  UncertainEffectError,
  UnrecoverableError,
} from '../../src/errors.ts'
import type { LedgerState, QueueStatus, Settlement, SettleResult } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'

const failure = (kind: ConnectionFailure['kind'] = 'disconnected') =>
  new ConnectionFailure(kind, kind, 'none', true)
const message = (msgId: string): Message => ({
  queue: 'q',
  msgId,
  delivery: 1,
  failures: 0,
  interruptions: 0,
  diedAlone: 0,
  enqueuedAt: '2026-01-01T00:00:00Z',
  waitedMs: 0,
  originKey: msgId,
  payload: {},
  headers: null,
})
const settlement = (msgId: string, kind: 'archive' | 'delete' = 'archive'): Settlement => ({
  receipt: message(msgId),
  outcome: { kind },
})
const noOutage = () =>
  createOutage(
    () => 0,
    () => {},
  )

describe('leases', () => {
  test('are lost at their deadline, once, unless renewed or being settled', () => {
    const lost: string[] = []
    const leases = createLeases(({ message }) => lost.push(message.msgId))
    const [a, b, c] = ['a', 'b', 'c'].map((id) => leases.hold(message(id), 10, 1000))
    if (!a || !b || !c) throw new Error('no leases')
    leases.renew(b, 2000)
    leases.renew(b, 500) // never shorter
    c.settling = true
    leases.expire(10_999)
    expect(lost).toEqual([])
    leases.expire(11_000)
    leases.expire(11_001)
    expect(lost).toEqual(['a'])
    expect(a.cancellation.signal.reason).toBeInstanceOf(LeaseLostError)
    expect(leases.isOver(b, 11_999)).toBe(false)
    expect(leases.isOver(b, 12_000)).toBe(true)
    expect(leases.isOver(c, 99_999)).toBe(false)
    expect(lost).toEqual(['a', 'b'])
    for (const lease of [a, b, c]) leases.drop(lease)
    expect(leases.size).toBe(0)
  })
})

describe('an outage', () => {
  test('begins with the first failure, ends when all that failed succeeds, and tells each class once', () => {
    const told: string[] = []
    let nowMs = 0
    const outage = createOutage(
      () => nowMs,
      (name, event) =>
        told.push(
          'failure' in event && event.failure !== null && 'kind' in event.failure
            ? `${name} ${event.failure.kind}`
            : name,
        ),
    )
    const [reads, beats] = [outage.calls(), outage.calls()]
    reads.failed(failure('refused'))
    nowMs = 5000
    beats.failed(failure('timeout'))
    for (const kind of ['refused', 'timeout', 'refused'] as const) reads.failed(failure(kind))
    expect(reads.failures).toBe(4)
    expect(outage.downMs()).toBe(5000)
    beats.succeeded()
    expect(outage.downMs()).toBe(5000)
    reads.succeeded()
    reads.succeeded()
    expect(outage.downMs()).toBe(0)
    expect(told).toEqual(['connectionLost refused', 'connectionLost timeout', 'connectionBack'])
    reads.failed(failure('refused'))
    expect(told.at(-1)).toBe('connectionLost refused')
  })
})

describe('the agenda', () => {
  test('knows for each queue when a read is worth while', () => {
    const states: string[] = []
    const agenda = createAgenda(['a', 'b'], (_, state) =>
      states.push('status' in state ? String(state.status) : ''),
    )
    expect(agenda.dueAtMs('a')).toBe(0)
    agenda.asked('a')
    agenda.asked('b')
    expect(agenda.dueAtMs('a')).toBe(Number.POSITIVE_INFINITY)
    agenda.note({ queue: 'a', status: 'ok', nextVisibleInMs: 500 }, 1000, 5000)
    agenda.expect('a', 9000)
    expect(agenda.dueAtMs('a')).toBe(1500 + LATE_MS)
    agenda.inserted('b')
    agenda.inserted('somebody else’s')
    expect([agenda.dueAtMs('b'), agenda.dueAtMs('somebody else’s')]).toEqual([0, Number.POSITIVE_INFINITY])
    agenda.inserted('*')
    expect(agenda.dueAtMs('a')).toBe(0)
    agenda.note({ queue: 'b', status: 'error', nextVisibleInMs: null }, 1000, 5000)
    expect([agenda.isReadable, agenda.hasError]).toEqual([false, true])
    agenda.note({ queue: 'b', status: 'ok', nextVisibleInMs: null }, 1000, 5000)
    expect([agenda.isReadable, agenda.hasError]).toEqual([true, false])
    expect(states).toEqual(['error', 'ok'])
  })

  test('does not ask for what a limit or a breaker holds before it may be read, or somebody may have lifted it', () => {
    const agenda = createAgenda(['a'], () => {})
    for (const status of ['limited', 'breaker_open', 'breaker_half_open'] as const) {
      agenda.note({ queue: 'a', status, nextVisibleInMs: 300 }, 1000, 5000)
      expect(agenda.heldUntilMs('a'), status).toBe(1300 + LATE_MS)
      agenda.inserted('a')
      expect(agenda.heldUntilMs('a'), `${status}, insertions notwithstanding`).toBe(1300 + LATE_MS)
      agenda.note({ queue: 'a', status, nextVisibleInMs: 60_000 }, 1000, 5000)
      expect(agenda.heldUntilMs('a'), status).toBe(6000)
      expect([agenda.isReadable, agenda.hasError]).toEqual([true, false])
    }
    agenda.note({ queue: 'a', status: 'ok', nextVisibleInMs: 300 }, 1000, 5000)
    expect(agenda.heldUntilMs('a')).toBe(Number.NEGATIVE_INFINITY)
  })

  test('looks again at once when the probe of a breaker has ended, and at no other end', () => {
    const agenda = createAgenda(['a'], () => {})
    const note = (status: QueueStatus) => {
      agenda.asked('a')
      agenda.note({ queue: 'a', status, nextVisibleInMs: 3000 }, 1000, 5000)
      agenda.freed('a')
      return [agenda.heldUntilMs('a'), agenda.dueAtMs('a')]
    }
    expect(note('breaker_open')).toEqual([4000 + LATE_MS, 4000 + LATE_MS])
    expect(note('breaker_half_open')).toEqual([Number.NEGATIVE_INFINITY, 0])
  })

  test('a rate limit that is used up now and then is told once, until it was not for a minute', () => {
    const told: string[] = []
    const agenda = createAgenda(['a'], (_, state) =>
      told.push('status' in state && 'before' in state ? `${state.before} ${state.status}` : ''),
    )
    const note = (status: QueueStatus, atMs: number) =>
      agenda.note({ queue: 'a', status, nextVisibleInMs: null }, atMs, 5000)
    for (let atMs = 0; atMs < 10_000; atMs += 2000) {
      note('limited', atMs)
      note('ok', atMs + 1000)
    }
    expect(told).toEqual(['ok limited'])
    note('ok', 67_000)
    expect(told).toHaveLength(1)
    note('ok', 68_000)
    note('limited', 69_000)
    note('paused', 70_000)
    expect(told).toEqual(['ok limited', 'limited ok', 'ok limited', 'limited paused'])
  })
})

/** A queue that settles each message once, and loses the answers it is told to lose. */
function forgetfulQueue(answers: (request: number) => 'answered' | 'lost' | 'rejected' | 'away') {
  const gone = new Set<string>()
  const requests: string[][] = []
  return {
    requests,
    gone,
    async settle(settlements: readonly Settlement[]): Promise<SettleResult[]> {
      requests.push(settlements.map(({ receipt }) => receipt.msgId))
      const answer = answers(requests.length)
      if (answer === 'away') throw failure()
      if (answer === 'rejected' || settlements.some(({ receipt }) => receipt.msgId === 'spoils')) {
        throw new ConnectionFailure('rejected', 'this spoils it', 'none', false)
      }
      const results = settlements.map(({ receipt, outcome }): SettleResult => {
        const before = gone.has(receipt.msgId)
        gone.add(receipt.msgId)
        return { status: before ? (outcome.kind === 'delete' ? 'gone' : 'already') : 'ok' }
      })
      if (answer === 'lost') throw failure()
      return results
    },
  }
}

const settle = (settler: Settler, one: Settlement) =>
  new Promise<SettleResult>((resolve) => settler.settle(one, resolve))

describe('the settler', () => {
  test('collects outcomes into batches and answers each', async () => {
    const queue = forgetfulQueue(() => 'answered')
    const settler = createSettler(queue, 'w', noOutage())
    const ids = Array.from({ length: 1200 }, (_, n) => String(n))
    const results = await Promise.all(ids.map((id) => settle(settler, settlement(id))))
    expect(results.every(({ status }) => status === 'ok')).toBe(true)
    expect(queue.requests.flat().toSorted()).toEqual(ids.toSorted())
    expect(queue.requests.length).toBeLessThan(6)
    expect([settler.pending, settler.overdue]).toEqual([0, false])
  })

  test('repeats what was not answered, and takes the repeat for what it is', async () => {
    const queue = forgetfulQueue((request) => (request === 1 ? 'lost' : request === 2 ? 'away' : 'answered'))
    const settler = createSettler(queue, 'w', noOutage())
    const results = Promise.all([
      settle(settler, settlement('a')),
      settle(settler, settlement('b', 'delete')),
    ])
    await expect.poll(() => settler.overdue).toBe(true)
    expect((await results).map(({ status }) => status)).toEqual(['already', 'already'])
    expect(settler.overdue).toBe(false)
    await settler.idle()
  })

  test('a delete that finds nothing the first time was overtaken', async () => {
    const queue = forgetfulQueue(() => 'answered')
    queue.gone.add('a')
    const settler = createSettler(queue, 'w', noOutage())
    expect(await settle(settler, settlement('a', 'delete'))).toEqual({ status: 'lost' })
  })

  test('one settlement that spoils its batch is found, and the others are recorded', async () => {
    const queue = forgetfulQueue(() => 'answered')
    const settler = createSettler(queue, 'w', noOutage())
    const ids = [...Array.from({ length: 40 }, (_, n) => String(n)), 'spoils']
    const results = await Promise.all(ids.map((id) => settle(settler, settlement(id))))
    expect(results.filter(({ status }) => status === 'ok')).toHaveLength(40)
    expect(results.at(-1)).toEqual({ status: 'rejected', error: 'this spoils it' })
    expect([settler.pending, settler.overdue]).toEqual([0, false])
  })

  test('what another round trip took and failed with is settled the ordinary way', async () => {
    const queue = forgetfulQueue(() => 'answered')
    const settler = createSettler(queue, 'w', noOutage())
    const result = settle(settler, settlement('a'))
    const batch = settler.take()
    expect(batch?.settlements).toHaveLength(1)
    expect(settler.take()).toBeNull()
    batch?.failed()
    expect(settler.overdue).toBe(true)
    expect(await result).toEqual({ status: 'ok' })
  })

  test('abandoned, it stops repeating and is idle', async () => {
    const queue = forgetfulQueue(() => 'away')
    const settler = createSettler(queue, 'w', noOutage())
    void settle(settler, settlement('a'))
    await expect.poll(() => queue.requests.length).toBeGreaterThan(0)
    const idle = settler.idle()
    settler.abandon()
    await idle
    expect(settler.pending).toBe(1)
  })
})

describe('once', () => {
  function ledger(state: LedgerState, lose = 0) {
    const calls: string[] = []
    let losses = lose
    const startedBy: string[] = []
    const call = <T>(name: string, value: T) => {
      calls.push(name)
      if (losses-- > 0) throw failure()
      return value
    }
    return {
      calls,
      loseNext(count: number) {
        losses = count
      },
      ledgerStart: async (_key: string, _step: string, _repeat: boolean, token: string) => {
        startedBy.push(token)
        return call('start', state)
      },
      startedBy,
      ledgerFinish: async () => call('finish', undefined),
      ledgerForget: async (_key: string, _step: string, token?: string) =>
        call(token === startedBy.at(-1) ? 'forget' : 'forget another', undefined),
    }
  }
  const held = () => {}

  test('asks again when an answer is lost, and runs the step once', async () => {
    const book = ledger({ state: 'new' }, 1)
    let runs = 0
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, held)
    expect(await once('pay', () => ++runs)).toBe(1)
    expect(book.calls).toEqual(['start', 'start', 'finish'])
  })

  test('names each call anew, but the same when it asks again', async () => {
    const book = ledger({ state: 'new' }, 1)
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, held)
    await once('pay', () => 1)
    await once('pay', () => 1)
    const [first, again, second] = book.startedBy
    expect(first).toMatch(/^token\//)
    expect(again).toBe(first)
    expect(second).not.toBe(first)
  })

  test('asked for twice at once, a step happens once', async () => {
    const once = createOnce(
      ledger({ state: 'new' }),
      { originKey: 'key' },
      'token',
      new AbortController().signal,
      held,
    )
    let runs = 0
    expect(await Promise.all([once('pay', () => ++runs), once('pay', () => ++runs)])).toEqual([1, 1])
  })

  test('knows the step that code runs in, and only there', async () => {
    const once = createOnce(
      ledger({ state: 'new' }),
      { originKey: 'key' },
      'token',
      new AbortController().signal,
      held,
    )
    expect(await once('pay', async () => currentStep())).toBe('pay')
    expect(currentStep()).toBeUndefined()
  })

  test('gives the stored result instead of running', async () => {
    const once = createOnce(
      ledger({ state: 'done', result: 5 }),
      { originKey: 'key' },
      'token',
      new AbortController().signal,
      held,
    )
    expect(await once('pay', () => 6)).toBe(5)
  })

  test('holds what is uncertain', async () => {
    const book = ledger({ state: 'uncertain', startedAt: 'then' })
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, held)
    await expect(once('pay', () => 6)).rejects.toBeInstanceOf(UnrecoverableError)
    expect(book.calls).toEqual(['start'])
  })

  test.each([
    ['a step that failed is forgotten', new Error('no'), ['start', 'forget']],
    ['a step whose end is not known is not', new UncertainEffectError('?'), ['start']],
  ])('%s', async (_, error, calls) => {
    const book = ledger({ state: 'new' })
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, held)
    await expect(once('pay', () => Promise.reject(error))).rejects.toBe(error)
    expect(book.calls).toEqual(calls)
  })

  test.each([
    ['a step that was aborted midway is not forgotten', new Error('no'), ['start']],
    [
      'a step that was aborted and knows that it did not happen is, also when the first call fails',
      new EffectNotDoneError('never sent'),
      ['start', 'forget', 'forget'],
    ],
  ])('%s', async (_, error, calls) => {
    const book = ledger({ state: 'new' })
    const controller = new AbortController()
    const once = createOnce(book, { originKey: 'key' }, 'token', controller.signal, held)
    const run = () => {
      controller.abort(new StoppingError('the worker is stopping'))
      book.loseNext(1)
      return Promise.reject(error)
    }
    await expect(once('pay', run)).rejects.toBe(error)
    expect(book.calls).toEqual(calls)
  })

  test('a step that ended well although it was aborted is recorded, also when the first call fails', async () => {
    const book = ledger({ state: 'new' })
    const controller = new AbortController()
    const once = createOnce(book, { originKey: 'key' }, 'token', controller.signal, held)
    const run = () => {
      controller.abort(new StoppingError('the worker is stopping'))
      book.loseNext(1)
      return 5
    }
    expect(await once('pay', run)).toBe(5)
    expect(book.calls).toEqual(['start', 'finish', 'finish'])
  })

  test('a ledger that does not answer holds an aborted step up no longer than a few seconds', async () => {
    const controller = new AbortController()
    const hanging = { ...ledger({ state: 'new' }), ledgerForget: () => new Promise<undefined>(() => {}) }
    const once = createOnce(hanging, { originKey: 'key' }, 'token', controller.signal, held)
    const run = () => {
      controller.abort(new StoppingError('the worker is stopping'))
      return Promise.reject(new EffectNotDoneError('never sent'))
    }
    await expect(once('pay', run)).rejects.toThrow('never sent')
  })

  test('a step is not begun when the lease was lost while the ledger answered', async () => {
    const book = ledger({ state: 'new' })
    let checks = 0
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, () => {
      checks += 1
      if (checks === 2) throw new LeaseLostError('over')
    })
    await expect(once('pay', () => 1)).rejects.toBeInstanceOf(LeaseLostError)
    expect(book.calls).toEqual(['start', 'forget'])
  })

  test('a result that is too long leaves the step uncertain', async () => {
    const book = ledger({ state: 'new' })
    const once = createOnce(book, { originKey: 'key' }, 'token', new AbortController().signal, held)
    await expect(once('pay', () => 'x'.repeat(70_000))).rejects.toBeInstanceOf(UncertainEffectError)
    expect(book.calls).toEqual(['start'])
  })
})
