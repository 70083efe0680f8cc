/**
 * An SMTP server that fails at each step of a session, and what becomes of the mail: whether it cost the mail an
 * attempt, whether it arrived, once, and what the log says. The server is well again after the first try.
 */
import type { Socket } from 'node:net'
import { describe, expect, type onTestFinished, test } from 'vitest'
import { emailProcessor } from '../../src/processors/email.ts'
import { createMailer } from '../../src/services/email.ts'
import { createTemplates } from '../../src/services/templates.ts'
import { engineBench } from '../support/engine-bench.ts'
import { lastingPort } from '../support/ports.ts'
import { OBLIGING, startRawSmtp } from '../support/smtp.ts'
import { testWorker, until } from '../support/worker.ts'

type Step = 'GREETING' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA' | 'PART' | 'CONTENT'
/** A reply, or what it does instead of one. */
type Fault = string | 'hangs' | 'closes'
/** What the first try is recorded as; nothing but `retry` and `dead` is a failure of the mail. */
type First = 'archived' | 'snooze' | 'retry' | 'dead'
/** What the log says of the server: the class of failure; null when it has nothing to say of it. */
type Said = 'timeout' | 'unavailable' | 'rejected' | 'disconnected' | 'refused' | null
type Case = readonly [
  fault: Fault,
  at: Step,
  first: First,
  said: Said,
  end: 'archived' | 'dead',
  taken: number,
]

const CASES: readonly Case[] = [
  ['hangs', 'GREETING', 'snooze', 'timeout', 'archived', 1],
  ['hangs', 'EHLO', 'snooze', 'timeout', 'archived', 1],
  ['hangs', 'MAIL', 'retry', null, 'archived', 1],
  ['hangs', 'RCPT', 'retry', null, 'archived', 1],
  ['hangs', 'DATA', 'retry', null, 'archived', 1],
  // Only here nobody knows: the mail is held for a person.
  ['hangs', 'CONTENT', 'retry', null, 'dead', 1],
  ['421 busy', 'GREETING', 'snooze', 'unavailable', 'archived', 1],
  ['421 busy', 'EHLO', 'snooze', 'unavailable', 'archived', 1],
  ['421 busy', 'MAIL', 'snooze', 'unavailable', 'archived', 1],
  ['421 busy', 'RCPT', 'snooze', 'unavailable', 'archived', 1],
  ['421 busy', 'DATA', 'snooze', 'unavailable', 'archived', 1],
  ['421 busy', 'CONTENT', 'snooze', 'unavailable', 'archived', 2],
  ['450 later', 'GREETING', 'snooze', 'unavailable', 'archived', 1],
  // A server that does not know EHLO is greeted with HELO.
  ['450 later', 'EHLO', 'archived', null, 'archived', 1],
  ['450 later', 'MAIL', 'retry', null, 'archived', 1],
  ['450 later', 'RCPT', 'retry', null, 'archived', 1],
  ['450 later', 'DATA', 'retry', null, 'archived', 1],
  ['450 later', 'CONTENT', 'retry', null, 'archived', 2],
  ['550 no', 'GREETING', 'snooze', 'rejected', 'archived', 1],
  ['550 no', 'EHLO', 'archived', null, 'archived', 1],
  ['550 no', 'MAIL', 'dead', null, 'dead', 0],
  ['550 no', 'RCPT', 'dead', null, 'dead', 0],
  ['550 no', 'DATA', 'dead', null, 'dead', 0],
  ['550 no', 'CONTENT', 'dead', null, 'dead', 1],
  ['closes', 'GREETING', 'snooze', 'disconnected', 'archived', 1],
  ['closes', 'EHLO', 'snooze', 'disconnected', 'archived', 1],
  ['closes', 'MAIL', 'retry', null, 'archived', 1],
  ['closes', 'RCPT', 'retry', null, 'archived', 1],
  ['closes', 'DATA', 'retry', null, 'archived', 1],
  ['closes', 'PART', 'retry', null, 'archived', 1],
  ['closes', 'CONTENT', 'retry', null, 'dead', 1],
]

const bench = engineBench('postgres')
type Finished = typeof onTestFinished

/** A worker for a queue of its own, and what its log says of the SMTP server. */
async function mailWorker(port: number, finished: Finished, replyTimeoutMs = 20_000) {
  const queue = await bench.newQueue()
  const told: string[] = []
  const log = {
    error: ({ kind }: { kind: string }) => void told.push(`lost: ${kind}`),
    info: () => void told.push('back'),
  }
  const mailer = createMailer(
    { host: '127.0.0.1', port, from: 'app@from.example', connectTimeoutMs: replyTimeoutMs, replyTimeoutMs },
    log as never,
  )
  const templates = createTemplates('no-templates')
  const processor = emailProcessor({
    queue,
    mailer,
    templates,
    whenUncertain: 'hold',
    maxAttachmentBytes: 50_000_000,
  })
  const worker = testWorker('postgres', [processor], { settings: { notify: false, pollIntervalMs: 200 } })
  finished(() => worker.stop('the test is over', { hurry: true }))
  await worker.start()
  const outcomes = async () => (await bench.look.outcomes(queue)).map(({ outcome }) => outcome)
  // Counted there: a large mail need not travel for it.
  const count = async (table: string) =>
    Number((await bench.sql`select count(*) from ${bench.sql(`pgmq.${table}`)}`)[0]?.count)
  const first = async (): Promise<First | undefined> => {
    if ((await count(`a_${queue}`)) > 0) return 'archived'
    if ((await outcomes()).includes('dead')) return 'dead'
    const [outcome] = await outcomes()
    return outcome === 'snooze' || outcome === 'retry' ? outcome : undefined
  }
  return {
    queue,
    told,
    outcomes,
    /** How many deliveries there were. */
    delivered: async () =>
      Number((await bench.sql`select sum(read_ct) from ${bench.look.table('q', queue)}`)[0]?.sum),
    isReady: () => worker.health().ready,
    /** How the first try ended. */
    async first(): Promise<First | undefined> {
      await until('the first try is recorded', async () => (await first()) !== undefined)
      return first()
    },
    /** Ends the wait for the second try, and says where the message is at its end. */
    async end(): Promise<string[]> {
      const recorded = await outcomes()
      if (recorded.includes('snooze') || recorded.includes('retry')) {
        await bench.look.pass(queue, 1000)
        await bench.look.expire(queue)
      }
      await until('the message has ended', async () => (await count(`q_${queue}`)) === 0)
      const dead = await bench.look.deadLetters(queue)
      return [...Array(await count(`a_${queue}`)).fill('archived'), ...dead.map(() => 'dead')]
    },
  }
}

const MAIL = { to: 'ann@to.example', subject: 'Hi', text: 'Hello' }
/** More than the buffers of a socket hold, so that the final dot cannot have been sent while nobody reads. */
const LARGE = { ...MAIL, attachments: [{ filename: 'large.txt', content: 'x'.repeat(8_000_000) }] }

describe.concurrent('an SMTP server that', () => {
  test.for(CASES)('%s (%s): %s', async ([fault, at, first, said, end, taken], { onTestFinished }) => {
    let isWell = false
    const smtp = await startRawSmtp((command: string, content: string, socket: Socket) => {
      if (isWell || !command.startsWith(at)) return OBLIGING(command, content, socket)
      if (fault === 'closes') socket.destroy()
      return fault === 'closes' || fault === 'hangs' ? null : fault
    })
    onTestFinished(smtp.stop)
    // Patient enough for a busy machine: what hangs here hangs for ever.
    const mail = await mailWorker(smtp.port, onTestFinished, fault === 'hangs' ? 4000 : undefined)
    await bench.send(mail.queue, [at === 'PART' ? LARGE : MAIL])
    expect(await mail.first()).toBe(first)
    expect(mail.told).toEqual(said === null ? [] : [`lost: ${said}`])
    await until('the worker is ready all the same', mail.isReady)
    isWell = true
    expect(await mail.end()).toEqual([end])
    // What the server was given whole, its refusals included.
    expect(smtp.contents).toHaveLength(taken)
    const recorded = new Set([first, end].filter((outcome) => outcome !== 'archived'))
    expect(await mail.outcomes()).toEqual([...recorded])
    expect(mail.told).toEqual(said === null ? [] : [`lost: ${said}`, 'back'])
  })

  test('refuses connections makes the mail wait, at no cost, until it is back', async ({
    onTestFinished,
  }) => {
    const port = await lastingPort()
    const mail = await mailWorker(port, onTestFinished)
    await bench.send(mail.queue, [MAIL])
    expect(await mail.first()).toBe('snooze')
    expect(mail.told).toEqual(['lost: refused'])
    const smtp = await startRawSmtp(OBLIGING, port)
    onTestFinished(smtp.stop)
    expect(await mail.end()).toEqual(['archived'])
    expect(smtp.contents).toHaveLength(1)
    expect(mail.told).toEqual(['lost: refused', 'back'])
  })

  test('is down while 50 mails wait sees one connection for a mail that is tried, and no mail is charged', async ({
    onTestFinished,
  }) => {
    let connections = 0
    let isDown = true
    const smtp = await startRawSmtp((command, content, socket) => {
      if (command === 'GREETING') connections += 1
      return isDown ? '421 down for maintenance' : OBLIGING(command, content, socket)
    })
    onTestFinished(smtp.stop)
    const mail = await mailWorker(smtp.port, onTestFinished)
    const breaker = async () => (await bench.typed.counts([mail.queue]))[0]?.breaker
    await bench.send(
      mail.queue,
      Array.from({ length: 50 }, (_, n) => ({ ...MAIL, subject: `${n}` })),
    )
    await until('its breaker is open', async () => (await breaker())?.state === 'open')
    await until('nothing runs', async () => (await mail.outcomes()).length === (await mail.delivered()))
    // As many as run at once (10).
    expect(connections).toBeLessThanOrEqual(10)
    for (const trips of [2, 3]) {
      const before = connections
      await bench.look.pass(mail.queue, 1000)
      await until(`the probe finds it down (${trips})`, async () => (await breaker())?.trips === trips)
      expect(connections - before).toBe(1)
    }
    isDown = false
    await bench.look.pass(mail.queue, 1000)
    await bench.look.expire(mail.queue)
    await until('all are archived', async () => (await bench.archived(mail.queue)) === 50)
    expect(smtp.contents).toHaveLength(50)
    expect(await breaker()).toBeNull()
    expect(new Set(await mail.outcomes())).toSatisfy((kinds: Set<string>) =>
      [...kinds].every((kind) => kind === 'snooze' || kind === 'release'),
    )
    expect(mail.told).toEqual(['lost: unavailable', 'back'])
  })

  test('is slow to answer, but within the limit, costs nothing but time', async ({ onTestFinished }) => {
    const smtp = await startRawSmtp((command, content, socket) => {
      const reply = OBLIGING(command, content, socket)
      if (command === 'DATA' || reply === null) return reply
      setTimeout(() => socket.write(`${reply}\r\n`), 200)
      return null
    })
    onTestFinished(smtp.stop)
    const mail = await mailWorker(smtp.port, onTestFinished)
    await bench.send(mail.queue, [MAIL])
    expect(await mail.end()).toEqual(['archived'])
    expect(smtp.contents).toHaveLength(1)
    expect(await mail.outcomes()).toEqual([])
    expect(mail.told).toEqual([])
  })
})
