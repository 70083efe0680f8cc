/** Mail that a stop or the time limit aborts before it was given away: known not to be sent, so never held. */
import { afterEach, describe, expect, test } from 'vitest'
import { emailProcessor } from '../../src/processors/email.ts'
import { createMailer } from '../../src/services/email.ts'
import { createTemplates } from '../../src/services/templates.ts'
import { engineBench } from '../support/engine-bench.ts'
import { OBLIGING, startRawSmtp } from '../support/smtp.ts'
import { until } from '../support/worker.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Hangs at this command for as long as it is told to. */
async function hangingServer(at: string) {
  const state = { hangs: true, asked: 0 }
  const raw = await startRawSmtp((command, content, socket) => {
    if (!state.hangs || !command.startsWith(at)) return OBLIGING(command, content, socket)
    state.asked += 1
    return null
  })
  cleanups.push(raw.stop)
  return { ...raw, state }
}

describe.each(['rpc', 'postgres'] as const)('over %s, with mail held when uncertain', (kind) => {
  const bench = engineBench(kind)

  const processor = (queue: string, port: number) =>
    emailProcessor({
      queue,
      mailer: createMailer({ host: '127.0.0.1', port, from: 'app@from.example' }),
      templates: createTemplates('no-templates'),
      whenUncertain: 'hold',
      maxAttachmentBytes: 1_000_000,
    })
  /** Of the messages in the queue. */
  const steps = (queue: string) => bench.sql`
    select step, state from queue_worker.ledger where origin_key in (
      select queue_worker.origin_key(${queue}, q.msg_id, q.enqueued_at) from ${bench.sql(`pgmq.q_${queue}`)} q)`

  test.each(['GREETING', 'RCPT'])(
    'a stop while the server hangs at %s leaves no doubt behind',
    async (at) => {
      const smtp = await hangingServer(at)
      const queue = await bench.newQueue()
      await bench.send(queue, [{ to: 'ann@to.example', subject: 'Hi', text: 'Hello' }])
      const first = await bench.start([processor(queue, smtp.port)], { settings: { drainTimeoutMs: 0 } })
      await until('the server was asked', () => smtp.state.asked > 0)
      expect(await steps(queue)).toEqual([{ step: 'smtp-1', state: 'started' }])
      await first.stop('the test says so')
      expect(await steps(queue)).toEqual([])

      smtp.state.hangs = false
      await bench.start([processor(queue, smtp.port)])
      await until('it is archived', async () => (await bench.archived(queue)) === 1)
      expect(smtp.contents).toHaveLength(1)
      expect(await bench.look.deadLetters(queue)).toEqual([])
    },
  )

  test('the time limit leaves no doubt behind either', async () => {
    const smtp = await hangingServer('RCPT')
    const queue = await bench.newQueue()
    await bench.send(queue, [{ to: 'ann@to.example', subject: 'Hi', text: 'Hello' }])
    const impatient = {
      ...processor(queue, smtp.port),
      timeoutMs: 500,
      backoff: { baseSeconds: 0.05, maxSeconds: 0.2 },
    }
    await bench.start([impatient])
    await until('it failed and is tried again', () => smtp.state.asked > 1)
    smtp.state.hangs = false
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
    expect(smtp.contents).toHaveLength(1)
    expect(await bench.look.deadLetters(queue)).toEqual([])
  })
})
