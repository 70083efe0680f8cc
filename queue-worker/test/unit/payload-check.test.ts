/** Payloads are checked at once where their schema can be, also when it was made by another copy of zod. */
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createPayloadCheck } from '../../src/processors/check.ts'

const copies: readonly (readonly [string, typeof z])[] = [
  ['this copy of zod', z],
  ['another', createRequire(import.meta.url)('zod').z],
]

describe.each(copies)('a schema of %s', (_, zod) => {
  test('that is synchronous is checked at once after the first payload', async () => {
    const check = createPayloadCheck(zod.object({ n: zod.number().default(3) }))
    expect(await check({})).toMatchObject({ success: true, data: { n: 3 } })
    expect(check({ n: 4 })).toMatchObject({ success: true, data: { n: 4 } })
    expect(check({ n: 'x' })).toMatchObject({ success: false })
  })

  test('that is asynchronous is waited for, and what it rejects is the payload’s failure, seen by who waits', async () => {
    const known = async (name: string) => {
      if (name === 'down') throw new Error('the lookup is down')
      return name === 'ann'
    }
    const check = createPayloadCheck(zod.object({ name: zod.string().refine(known) }))
    await expect(check({ name: 'down' })).rejects.toThrow('the lookup is down')
    expect(await check({ name: 'ann' })).toMatchObject({ success: true })
    expect(await check({ name: 'bob' })).toMatchObject({ success: false })
  })

  test('of which only some payloads lead to asynchronous parts is checked right for all of them', async () => {
    const late = zod.object({ kind: zod.literal('late'), n: zod.number().refine(async (n) => n > 0) })
    const check = createPayloadCheck(zod.union([zod.object({ kind: zod.literal('now') }), late]))
    expect(await check({ kind: 'now' })).toMatchObject({ success: true })
    expect(await check({ kind: 'late', n: 1 })).toMatchObject({ success: true })
    expect(await check({ kind: 'late', n: 0 })).toMatchObject({ success: false })
    expect(await check({ kind: 'now' })).toMatchObject({ success: true })
  })
})
