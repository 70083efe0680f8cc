import { afterEach, expect, test } from 'vitest'
import { UnrecoverableError } from '../../src/errors.ts'
import { createLedger } from '../support/context.ts'
import { type Cleanups, processorFor, TO_THREE, verdictServer } from '../support/email-processor.ts'

const cleanups: Cleanups = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('whom the server refuses for now gets the mail later, and the others do not get it again', async () => {
  const smtp = await verdictServer(cleanups, { ben: '450 greylisted', cy: '451 busy' })
  const deliver = processorFor(cleanups, smtp.port)
  const ledger = createLedger()
  const first = await deliver(TO_THREE, ledger)
  expect(first.error).not.toBeInstanceOf(UnrecoverableError)
  expect(String(first.error)).toMatch(
    /did not take the mail yet for ben@to.example, cy@to.example.*accepted for ann/,
  )
  delete smtp.verdicts.ben
  expect(String((await deliver(TO_THREE, ledger)).error)).toMatch(/not take the mail yet for cy@to.example/)
  // Refused once more: such a try leaves no record and can be repeated as often as there are attempts.
  expect(String((await deliver(TO_THREE, ledger)).error)).toMatch(/not take the mail yet for cy@to.example/)
  delete smtp.verdicts.cy
  expect((await deliver(TO_THREE, ledger)).error).toBeUndefined()
  expect([smtp.asked('ann'), smtp.asked('ben'), smtp.asked('cy')]).toEqual([1, 2, 4])
  expect(smtp.contents).toHaveLength(3)
  expect(new Set(smtp.contents.map((content) => /^Message-ID: .*$/m.exec(content)?.[0])).size).toBe(1)
  expect(Object.keys(ledger.results())).toEqual(['smtp-1', 'smtp-2', 'smtp-3'])
})

test('when nobody is accepted and all are refused for good, each address and reply is told', async () => {
  const smtp = await verdictServer(cleanups, { ann: '550 no such user', ben: '552 full', cy: '553 bad' })
  const { error } = await processorFor(cleanups, smtp.port)(TO_THREE)
  expect(error).toBeInstanceOf(UnrecoverableError)
  expect(String(error)).toMatch(
    /ann@to.example \(550 no such user\); ben@to.example \(552 full\); cy@to.example \(553/,
  )
})

test('a refusal for good is told though others got the mail; a redrive tries only the refused one', async () => {
  const smtp = await verdictServer(cleanups, { ben: '550 no such user' })
  const deliver = processorFor(cleanups, smtp.port)
  const ledger = createLedger()
  const { error } = await deliver(TO_THREE, ledger)
  expect(error).toBeInstanceOf(UnrecoverableError)
  expect(String(error)).toMatch(
    /refused for good for: ben@to.example \(550 no such user\)\. It was accepted for ann/,
  )
  // Redriven while it is still so: told again. Redriven when the mailbox exists: delivered.
  expect((await deliver(TO_THREE, ledger)).error).toBeInstanceOf(UnrecoverableError)
  smtp.verdicts.ben = '450 just a moment'
  expect((await deliver(TO_THREE, ledger)).error).not.toBeInstanceOf(UnrecoverableError)
  delete smtp.verdicts.ben
  expect((await deliver(TO_THREE, ledger)).error).toBeUndefined()
  expect([smtp.asked('ann'), smtp.asked('ben'), smtp.asked('cy')]).toEqual([1, 4, 1])
})

test('one refused for good is left alone while another is only refused for now', async () => {
  const smtp = await verdictServer(cleanups, {
    ann: '550 no such user',
    ben: '450 greylisted',
    cy: '450 greylisted',
  })
  const deliver = processorFor(cleanups, smtp.port)
  const ledger = createLedger()
  expect((await deliver(TO_THREE, ledger)).error).not.toBeInstanceOf(UnrecoverableError)
  smtp.verdicts.ben = smtp.verdicts.cy = '250 ok'
  const { error } = await deliver(TO_THREE, ledger)
  expect(error).toBeInstanceOf(UnrecoverableError)
  expect(String(error)).toMatch(/ann@to.example \(550.*accepted for ben@to.example, cy@to.example/)
  expect(smtp.asked('ann')).toBe(1)
})
