/** The query by which KEDA decides how many workers there are, as it stands in deploy/kubernetes/keda.yaml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { projectRoot } from '../support/cli.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const sql = postgres(inject('stack').databaseUrl, { max: 1, onnotice: () => {} })
const admin = postgres(inject('stack').adminUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const queues = [uniqueQueue(), uniqueQueue(), uniqueQueue()]
afterAll(async () => {
  for (const queue of queues) await look.drop(queue)
  await admin.unsafe(`drop role ${role}`)
  await admin.end()
  await sql.end()
})

const [, scaled] = parseAllDocuments(readFileSync(join(projectRoot, 'deploy/kubernetes/keda.yaml'), 'utf8'))
const query: string = scaled?.toJS().spec.triggers[0].metadata.query

/** As the role that the page makes for it, under another name. */
const role = uniqueQueue('scaler')
const page = readFileSync(join(projectRoot, 'docs/deployment/kubernetes.md'), 'utf8')
const [, createRole = ''] = /```sql\n(create role scaler .*)\n```/.exec(page) ?? []
beforeAll(() => sql.unsafe(createRole.replace('scaler', role)))

const ask = (text: string) =>
  admin.begin(async (transaction) => {
    await transaction`set local role ${transaction(role)}`
    return Object.values((await transaction.unsafe(text))[0] ?? {})
  })

test('it counts what waits and what runs, of queues that are worked on', async () => {
  const [busy = '', paused = '', broken = ''] = queues
  for (const queue of queues) {
    await sql`select queue_worker_ensure_queue(${sql.json({ protocol: 2, queue })})`
    await sql`select pgmq.send(${queue}, '{}'::jsonb) from generate_series(1, 5)`
  }
  await sql`select from pgmq.read(${busy}::text, 600, 2)`
  await sql`select pgmq.send(${busy}::text, '{}'::jsonb, 600)`
  await sql`select queue_worker_set_paused(${sql.json({ protocol: 2, queue: paused, paused: true })})`
  await sql`update queue_worker.queues set breaker_until = now() + interval '1 hour', breaker_trips = 1 where queue = ${broken}`
  const ours = query.replace(`'{"protocol": 2}'`, `'${JSON.stringify({ protocol: 2, queues })}'`)
  expect(ours).not.toBe(query)
  expect(await ask(ours)).toEqual(['5'])
  expect(Number((await ask(query))[0])).toBeGreaterThanOrEqual(5)
})
