/** Workers that publish to a real RabbitMQ and are killed meanwhile: at least once, under one id, and archived in the end. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { brokerClient } from '../support/amqp.ts'
import { endAll, folder, logLines, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { type Rabbit, startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const sources = new URL('../../src/', import.meta.url)
let rabbit: Rabbit
let broker: ReturnType<typeof brokerClient>
let cwd = ''
let queue = ''
let target = ''

/** The processor as it comes, over a publisher that dies at `DIE_AT` as if the machine had lost its power. */
const mortal = () => `import { writeFileSync } from 'node:fs'
import { parseAmqpUrl } from '${new URL('config/amqp-url.ts', sources)}'
import { amqpProcessor } from '${new URL('processors/amqp.ts', sources)}'
import { createPublisher } from '${new URL('services/amqp.ts', sources)}'
const publisher = createPublisher({ address: parseAmqpUrl(process.env.AMQP_URL) })
const dieAt = (point) => {
  if (process.env.DIE_AT !== point) return
  writeFileSync('died-' + point, '')
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}
export default amqpProcessor({
  queue: '${queue}',
  publisher: {
    ...publisher,
    async publish(message, options) {
      dieAt('before')
      if (process.env.DIE_AT !== 'meanwhile') {
        await publisher.publish(message, options)
        return dieAt('after')
      }
      // Over a connection that is open, death comes about when the message is written.
      await publisher.publish({ ...message, routingKey: 'nobody' }).catch(() => {})
      void publisher.publish(message, options)
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
      dieAt('meanwhile')
    },
  },
})
`

describe.skipIf(withoutRabbit !== '')(`with a real RabbitMQ${withoutRabbit}`, () => {
  beforeAll(async () => {
    rabbit = await startRabbit()
    broker = brokerClient(rabbit.url)
  })
  beforeEach(async () => {
    cwd = await folder()
    queue = uniqueQueue()
    target = uniqueQueue('mq')
    await broker.queue(target)
    for (const name of [queue, `${queue}_dlq`]) await sql`select pgmq.create(${name})`
  })
  afterEach(async () => {
    await endAll()
    await look.drop(queue)
    await removeFolder(cwd)
  })
  afterAll(async () => {
    await sql.end()
    await rabbit?.stop()
  })

  describe.each(KINDS)('over %s', (kind) => {
    test.each([
      ['before', 1],
      ['meanwhile', undefined],
      ['after', 2],
    ])(
      'a worker killed %s the publish: the message arrives, always with the same id',
      async (point, copies) => {
        const env = {
          ...connectionEnv(kind, stack),
          PROCESSORS: writeProcessors(cwd, { 'amqp.js': mortal() }),
          AMQP_URL: rabbit.url,
          QUEUES: queue,
          WORKER_POLL_INTERVAL_MS: '200',
        }
        const payload = { queue: target, data: { n: 1 } }
        const [sent] = await sql`select pgmq.send(${queue}::text, ${sql.json(payload)}::jsonb) as id`
        const [row] = await sql`
        select queue_worker.origin_key(${queue}, q.msg_id, q.enqueued_at) as key from ${look.table('q', queue)} q`
        const dying = start(['start'], { cwd, env: { ...env, DIE_AT: point } })
        expect(await dying.ended, dying.text()).toBe('SIGKILL')
        expect(readFileSync(join(cwd, `died-${point}`), 'utf8')).toBe('')
        expect(await look.archived(queue)).toHaveLength(0)
        const next = start(['start'], { cwd, env })
        await next.says(/ reads /)
        // Only now: a read that the killed one had sent off would take the message, and has come to its end by the time this one reads.
        await look.expire(queue)
        await until('it is archived', async () => (await look.archived(queue)).length === 1)
        next.signal('SIGTERM')
        expect(await next.ended, next.text()).toBe(0)

        const arrived = await broker.take(target)
        expect(arrived.length).toBeGreaterThanOrEqual(1)
        expect(arrived.length).toBeLessThanOrEqual(2)
        if (copies !== undefined) expect(arrived).toHaveLength(copies)
        for (const { content, properties } of arrived) {
          expect(JSON.parse(String(content))).toEqual({ n: 1 })
          expect(properties).toMatchObject({ messageId: row?.key, deliveryMode: 2 })
        }
        expect((await look.archived(queue))[0]?.msg_id).toBe(sent?.id)
      },
    )
  })

  test('the worker that comes with the product publishes; with a wrong password it says so once, without the password', async () => {
    rmSync(join(cwd, 'processors'), { recursive: true, force: true })
    const password = 'open:sesame/77'
    const url = new URL(rabbit.url)
    const env = { ...connectionEnv('rpc', stack), QUEUES: 'amqp', LOG_LEVEL: 'trace' }
    const wrong = `amqp://guest:${encodeURIComponent(password)}@${url.host}/%2F`
    const first = start(['start'], { cwd, env: { ...env, AMQP_URL: wrong } })
    const known = () => sql`select from pgmq.list_queues() x where x.queue_name in ('amqp', 'amqp_dlq')`
    await until('the worker has made its queues', async () => (await known()).length === 2)
    const payload = { queue: target, data: 'hello' }
    for (const _ of [1, 2, 3]) await sql`select pgmq.send('amqp', ${sql.json(payload)}::jsonb)`
    try {
      await until('all wait', async () => (await look.outcomes('amqp')).length >= 1)
      first.signal('SIGTERM')
      expect(await first.ended).toBe(0)
      const errors = logLines(first.text()).filter(({ level }) => level === 'error' || level === 50)
      expect(errors).toMatchObject([{ amqp: url.host, kind: 'login' }])
      expect(errors[0]?.msg).toMatch(/refused the login of guest.*Check user and password in AMQP_URL/)
      for (const form of [
        password,
        encodeURIComponent(password),
        Buffer.from(password).toString('base64').slice(0, 15),
      ])
        expect(first.text()).not.toContain(form)

      const second = start(['start'], { cwd, env: { ...env, AMQP_URL: rabbit.url } })
      await look.pass('amqp', 1000)
      await look.expire('amqp')
      await until('all are archived', async () => (await look.archived('amqp')).length === 3)
      second.signal('SIGTERM')
      expect(await second.ended).toBe(0)
      const outcomes = await look.outcomes('amqp')
      expect(outcomes.filter(({ outcome }) => outcome !== 'snooze' && outcome !== 'release')).toEqual([])
      expect((await broker.take(target)).map(({ content }) => String(content))).toEqual([
        'hello',
        'hello',
        'hello',
      ])
    } finally {
      await endAll()
      await look.drop('amqp')
    }
  })
})
