import { afterEach, expect, test } from 'vitest'
import { OutageError, UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import { createLedger } from '../support/context.ts'
import { type Cleanups, processorFor, TO_THREE, verdictServer } from '../support/email-processor.ts'
import { OBLIGING, startRawSmtp, startSmtp } from '../support/smtp.ts'

const cleanups: Cleanups = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('the message a Supabase user would naturally send arrives', async () => {
  const smtp = await startSmtp()
  cleanups.push(smtp.stop)
  const deliver = processorFor(cleanups, smtp.port)
  const { error } = await deliver({ to: 'Ann <ann@to.example>', subject: 'Hi', body: 'Hello', cc: null })
  expect(error).toBeUndefined()
  expect(smtp.received).toMatchObject([{ to: ['ann@to.example'], mail: { subject: 'Hi', text: 'Hello\n' } }])
})

test('a template is filled, escaped in its HTML and not in its text', async () => {
  const smtp = await startSmtp()
  cleanups.push(smtp.stop)
  const deliver = processorFor(cleanups, smtp.port)
  const variables = { name: 'Ann & <b>Ben</b>', url: 'https://app.example/?a=1&b=2' }
  const { error } = await deliver({ to: 'ann@to.example', template: 'welcome', variables })
  expect(error).toBeUndefined()
  const [received] = smtp.received
  expect(received?.mail.subject).toBe('Welcome, Ann & <b>Ben</b>')
  expect(received?.mail.text).toContain('Hello Ann & <b>Ben</b>')
  expect(received?.mail.html).toContain('Hello Ann &amp; &lt;b&gt;Ben&lt;/b&gt;')
  expect(received?.mail.html).toContain('href="https://app.example/?a=1&amp;b=2"')
})

test('a template that lacks a variable is final and sends nothing', async () => {
  const smtp = await verdictServer(cleanups, {})
  const { error } = await processorFor(cleanups, smtp.port)({ to: 'ann@to.example', template: 'welcome' })
  expect(error).toBeInstanceOf(UnrecoverableError)
  expect(String(error)).toMatch(/welcome.*needs the variable "name"/)
  expect(smtp.commands).toEqual([])
})

test('a message delivered again after its mail was sent sends nothing', async () => {
  const smtp = await verdictServer(cleanups, {})
  const deliver = processorFor(cleanups, smtp.port)
  const ledger = createLedger()
  expect((await deliver(TO_THREE, ledger)).error).toBeUndefined()
  expect((await deliver(TO_THREE, ledger)).error).toBeUndefined()
  expect(smtp.contents).toHaveLength(1)
  expect(ledger.results()).toEqual({
    'smtp-1': { accepted: ['ann@to.example', 'ben@to.example', 'cy@to.example'], refused: [] },
  })
})

test('a mail of which nobody knows is sent again, or held, as the setting says', async () => {
  let lost = 1
  const smtp = await startRawSmtp((command, content, socket) => {
    if (command !== 'CONTENT' || lost === 0) return OBLIGING(command, content, socket)
    lost -= 1
    socket.destroy()
    return null
  })
  cleanups.push(smtp.stop)
  const resend = createLedger()
  const deliver = processorFor(cleanups, smtp.port)
  expect((await deliver(TO_THREE, resend)).error).toBeInstanceOf(UncertainEffectError)
  expect((await deliver(TO_THREE, resend)).error).toBeUndefined()
  expect(smtp.contents).toHaveLength(2)

  lost = 1
  const hold = createLedger()
  const deliverOrHold = processorFor(cleanups, smtp.port, { whenUncertain: 'hold' })
  expect((await deliverOrHold(TO_THREE, hold)).error).toBeInstanceOf(UncertainEffectError)
  expect((await deliverOrHold(TO_THREE, hold)).error).toBeInstanceOf(UnrecoverableError)
  expect(smtp.contents).toHaveLength(3)
})

test('a server that takes mails and never answers does not get copy after copy', async () => {
  const smtp = await startRawSmtp((command, content, socket) => {
    if (command !== 'CONTENT') return OBLIGING(command, content, socket)
    socket.destroy()
    return null
  })
  cleanups.push(smtp.stop)
  const ledger = createLedger()
  const deliver = processorFor(cleanups, smtp.port)
  const errors: unknown[] = []
  for (const attempt of [1, 2, 3]) errors.push((await deliver(TO_THREE, ledger, { attempt })).error)
  expect(errors.map((error) => error instanceof UnrecoverableError)).toEqual([false, false, true])
  expect(String(errors[2])).toMatch(/Held after 3 such tries/)
  expect(smtp.contents).toHaveLength(3)
  // Each redrive, which starts the attempts anew, is one more try.
  expect((await deliver(TO_THREE, ledger, { attempt: 1 })).error).toBeInstanceOf(UnrecoverableError)
  expect(smtp.contents).toHaveLength(4)
})

test('only tries of which nobody knows count towards that limit, not other failures', async () => {
  let isLost = true
  const smtp = await startRawSmtp((command, content, socket) => {
    if (command !== 'CONTENT' || !isLost) return OBLIGING(command, content, socket)
    socket.destroy()
    return null
  })
  cleanups.push(smtp.stop)
  const ledger = createLedger()
  const deliver = processorFor(cleanups, smtp.port)
  // The attempts before this one failed for other reasons.
  const { error } = await deliver(TO_THREE, ledger, { attempt: 7 })
  expect(error).toBeInstanceOf(UncertainEffectError)
  expect(error).not.toBeInstanceOf(UnrecoverableError)
  isLost = false
  expect((await deliver(TO_THREE, ledger, { attempt: 8 })).error).toBeUndefined()
  expect(smtp.contents).toHaveLength(2)
})

test('a worker that died while sending is treated the same', async () => {
  const smtp = await verdictServer(cleanups, {})
  const died = createLedger()
  died.leaveStarted('smtp-1')
  expect(
    (await processorFor(cleanups, smtp.port, { whenUncertain: 'hold' })(TO_THREE, died)).error,
  ).toBeInstanceOf(UnrecoverableError)
  expect(smtp.contents).toHaveLength(0)
  expect((await processorFor(cleanups, smtp.port)(TO_THREE, died)).error).toBeUndefined()
  expect(smtp.contents).toHaveLength(1)
})

test('a server that cannot be used is an outage, and no fault of the mail, until it has waited for too long', async () => {
  const smtp = await startRawSmtp((command, ...rest) =>
    command === 'GREETING' ? '421 closed for today' : OBLIGING(command, ...rest),
  )
  cleanups.push(smtp.stop)
  const ledger = createLedger()
  const deliver = processorFor(cleanups, smtp.port)
  const { error } = await deliver(TO_THREE, ledger)
  expect(error).toBeInstanceOf(OutageError)
  expect(String(error)).toMatch(/421 closed for today/)
  expect(ledger.results()).toEqual({})
  const weekOld = new Date(Date.now() - 7 * 24 * 3600 * 1000)
  const old = await deliver(TO_THREE, ledger, { enqueuedAt: weekOld })
  expect(old.error).toBeInstanceOf(UnrecoverableError)
  expect(String(old.error)).toMatch(/Given up after.*421 closed for today/)
})
