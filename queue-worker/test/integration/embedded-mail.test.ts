import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import nodemailer from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestStack, testStack } from '../support/stack.ts'

let stack: TestStack
beforeAll(async () => {
  stack = await testStack()
})
afterAll(() => stack?.dispose())

const transport = (pass = stack.smtp.pass) =>
  nodemailer.createTransport({
    host: stack.smtp.host,
    port: stack.smtp.port,
    secure: false,
    auth: { user: stack.smtp.user, pass },
  })
const mail = (to: string, subject = 'Hello') => ({
  from: 'a@example.com',
  to,
  subject,
  text: 'Grüße\n.\nEnd',
})
const kept = () => readdir(stack.mailDirectory)

test('it keeps each mail it accepts, whole, with the recipients of its envelope', async () => {
  await transport().sendMail({ ...mail('b@example.com', 'Kept'), bcc: 'hidden@example.com' })
  const names = await kept()
  expect(names).toHaveLength(1)
  expect(names[0]).toMatch(/^\d{4}-\d\d-\d\dT.*-[0-9a-f]{8}\.eml$/)
  const text = await readFile(join(stack.mailDirectory, names[0] ?? ''), 'utf8')
  expect(text).toMatch(
    /^Return-Path: <a@example.com>\r\nX-Envelope-To: b@example.com, hidden@example.com\r\n/,
  )
  expect(text).toContain('Subject: Kept')
  expect(text).toMatch(/Gr=C3=BC=C3=9Fe\r\n\.\r\nEnd/)
})

test('idle connections of a pool do not hold up its stop', async () => {
  const own = await testStack()
  const { host, port, user, pass } = own.smtp
  const pool = nodemailer.createTransport({ host, port, secure: false, pool: true, auth: { user, pass } })
  await pool.sendMail(mail('b@example.com'))
  const began = performance.now()
  await own.dispose()
  pool.close()
  expect(performance.now() - began).toBeLessThan(25_000)
})

test('it wants the right password', async () => {
  await expect(transport('wrong').sendMail(mail('b@example.com'))).rejects.toMatchObject({
    responseCode: 535,
  })
  const anonymous = nodemailer.createTransport({ host: stack.smtp.host, port: stack.smtp.port })
  await expect(anonymous.sendMail(mail('b@example.com'))).rejects.toMatchObject({ responseCode: 530 })
})

test('it refuses refused…@ for good and puts a message to busy-once…@ off once', async () => {
  const before = (await kept()).length
  await expect(transport().sendMail(mail('refused.user@example.com'))).rejects.toMatchObject({
    responseCode: 550,
    response: expect.stringContaining('5.1.1'),
  })
  const busy = { ...mail('busy-once@example.com'), messageId: '<one@example.com>' }
  const putOff = { responseCode: 451, response: expect.stringContaining('4.3.0') }
  await expect(transport().sendMail(busy)).rejects.toMatchObject(putOff)
  expect(await kept()).toHaveLength(before)
  await transport().sendMail(busy)
  expect(await kept()).toHaveLength(before + 1)
  await expect(transport().sendMail({ ...busy, messageId: '<two@example.com>' })).rejects.toMatchObject(
    putOff,
  )
})
