/** What headers say of a trace, and what happens without OpenTelemetry or without its SDK. */
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { carryTrace, traceContextOf } from '../../src/utils/trace-context.ts'
import { createTracing } from '../../src/utils/tracing.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const DELIVERY = { queue: 'q', msgId: '1', delivery: 1, failures: 0, headers: { traceparent: TRACEPARENT } }

describe('the trace context of headers', () => {
  test('is taken where it is well-formed', () => {
    expect(traceContextOf({ traceparent: TRACEPARENT, other: 1 })).toEqual({ traceparent: TRACEPARENT })
    const both = { traceparent: TRACEPARENT, tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7' }
    expect(traceContextOf(both)).toEqual(both)
    expect(traceContextOf({ ...both, tracestate: 'a=1\r\nx-evil: 1' })).toEqual({ traceparent: TRACEPARENT })
    expect(traceContextOf({ ...both, tracestate: { a: 1 } })).toEqual({ traceparent: TRACEPARENT })
  })

  test.each([
    null,
    {},
    { traceparent: 7 },
    { traceparent: '' },
    { traceparent: TRACEPARENT.toUpperCase() },
    { traceparent: `ff${TRACEPARENT.slice(2)}` },
    { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` },
    { traceparent: `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01` },
    { traceparent: `${TRACEPARENT}\n` },
  ])('is none in %j', (headers) => {
    expect(traceContextOf(headers)).toBeNull()
  })

  test('is added to what is sent, and never over another one', () => {
    const trace = { traceparent: TRACEPARENT }
    const bare: { queue: string; headers?: Record<string, unknown> } = { queue: 'q' }
    expect(carryTrace(bare, trace)).toEqual({ queue: 'q', headers: trace })
    expect(carryTrace({ headers: { a: 1 } }, trace)).toEqual({ headers: { a: 1, ...trace } })
    expect(carryTrace({ headers: { traceparent: 'mine' } }, trace)).toEqual({
      headers: { traceparent: 'mine' },
    })
    expect(carryTrace({ headers: { tracestate: 'of=nothing' } }, trace)).toEqual({ headers: trace })
    expect(carryTrace(bare, null)).toEqual({ queue: 'q' })
    const wrong = { headers: [] as never }
    expect(carryTrace(wrong, trace)).toBe(wrong)
  })
})

test('there is no tracing where the API is not installed', () => {
  expect(createTracing(undefined, createRequire(join(tmpdir(), 'nothing-here.js')))).toBeNull()
})

test('an API that is broken is not passed over', () => {
  const load = () => {
    throw new SyntaxError('half a file')
  }
  expect(() => createTracing(undefined, load)).toThrow('half a file')
})

test('without an SDK there is no span, and no context', () => {
  const tracing = createTracing()
  expect(tracing).not.toBeNull()
  expect(tracing?.begin(DELIVERY)).toBeNull()
  expect(tracing?.active()).toBeNull()
})
