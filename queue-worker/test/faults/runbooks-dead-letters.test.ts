/** docs/runbooks.md, 4: dead letters of every kind, sorted out. */
import type { Sql } from 'postgres'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor, UncertainEffectError, UnrecoverableError } from '../../src/library.ts'
import { createInspector } from '../support/queues.ts'
import { createRunbook } from '../support/runbook.ts'
import { runbookBench } from '../support/runbook-bench.ts'
import { until } from '../support/worker.ts'

const bench = runbookBench()
let sql: Sql

beforeAll(() => {
  sql = bench.login()
})

test('a dead-letter queue that grows is seen by its alert and cause, and each kind is dealt with', async () => {
  const book = createRunbook('dead')
  const look = createInspector(sql)
  let mended = false
  let charges = 0
  const processor = defineProcessor({
    queue: 'email_queue',
    payload: z.object({ n: z.number(), kind: z.enum(['ok', 'full', 'unknown', 'uncertain']) }),
    maxAttempts: 2,
    async process({ n, kind }, { once }) {
      if (kind === 'full' && !mended) throw new Error(`452 mailbox ${n} is full`)
      if (kind === 'unknown') throw new UnrecoverableError(`550 no such mailbox ${n}`)
      if (kind !== 'uncertain') return
      await once('charge', () => {
        if (!mended) throw new UncertainEffectError('the line broke')
        charges += 1
      })
    },
  })
  await bench.startWorkers(() => [processor])
  expect(await book.run(sql, 'alert')).toEqual([])
  const kinds = [
    'ok',
    'ok',
    'full',
    'full',
    'full',
    'full',
    'full',
    'unknown',
    'unknown',
    'unknown',
    'uncertain',
    'wrong',
    'wrong',
    'wrong',
    'wrong',
  ]
  for (const [n, kind] of kinds.entries())
    await sql`select pgmq.send('email_queue', ${sql.json({ n, kind })}::jsonb)`
  await until('all have ended', async () => (await look.messages('email_queue')).length === 0)

  expect(await book.run(sql, 'alert')).toMatchObject([{ queue: 'email_queue', dead: '13', succeeded: '2' }])
  const reasons = async () =>
    Object.fromEntries(
      (await book.run(sql, 'reasons')).map(({ reason, letters }) => [reason, Number(letters)]),
    )
  expect(await reasons()).toEqual({ attempts_exhausted: 5, invalid_payload: 4, unrecoverable: 4 })
  const errors = await book.run(sql, 'errors')
  const full = errors.find(({ error }) => /mailbox N is full/.test(error))
  expect(full).toMatchObject({ reason: 'attempts_exhausted', letters: '5' })
  const [example] = await book.run(sql, 'example', { 41: `${full?.example}` })
  expect(example?.message).toMatchObject({ message: { kind: 'full' }, dead_letter: { attempts: 2 } })

  mended = true
  const [redriven] = await book.run(sql, 'redrive')
  expect(redriven?.queue_worker_redrive).toHaveLength(5)
  await until('they are done', async () => (await look.archived('email_queue')).length === 7)
  expect((await book.run(sql, 'redrive'))[0]?.queue_worker_redrive).toEqual([])

  const [uncertain, ...none] = await book.run(sql, 'uncertain')
  expect([none, charges]).toEqual([[], 0])
  await book.run(sql, 'forget', { '[41]': `[${uncertain?.msg_id}]` })
  await until('the step was done', async () => (await look.archived('email_queue')).length === 8)
  expect(charges).toBe(1)

  expect((await book.run(sql, 'discard'))[0]?.queue_worker_discard_dead_letters).toMatchObject({
    discarded: 4,
  })
  expect(await reasons()).toEqual({ unrecoverable: 3 })
  expect(await book.run(sql, 'keep')).toHaveLength(3)
  expect(await reasons()).toEqual({})
  expect(await look.archived('email_queue_dlq')).toHaveLength(3)
  const done = (await look.archived('email_queue')).map(({ message }) => (message as { n: number }).n)
  expect(done.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 10])
  expect(await look.messages('email_queue')).toEqual([])
  expect(book.unused(), 'steps of the runbook that were not run').toEqual([])
})
