import { afterEach, expect, test } from 'vitest'
import { UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import { createMailer, type MailerSettings } from '../../src/services/email.ts'
import { MailServerError } from '../../src/services/email-outage.ts'
import { addressKey } from '../../src/utils/email-address.ts'
import { aMail } from '../support/mail.ts'
import { type Answer, OBLIGING, startRawSmtp, startSmtp } from '../support/smtp.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function mailer(port: number, settings: Partial<MailerSettings> = {}) {
  const made = createMailer({ host: '127.0.0.1', port, from: 'App <app@from.example>', ...settings })
  cleanups.push(made.close)
  return made
}

async function raw(answer: Answer) {
  const server = await startRawSmtp((...args) => answer(...args) ?? null)
  cleanups.push(server.stop)
  return server
}

/** A raw server that answers these commands (by their beginning) otherwise than usual. */
function rawWith(replies: Record<string, string>) {
  return raw((command, content, socket) => {
    const match = Object.keys(replies).find((start) => command.startsWith(start))
    return match === undefined ? OBLIGING(command, content, socket) : (replies[match] ?? null)
  })
}

const address = (name: string) => ({ name: '', address: `${name}@to.example` })
const failure = (sent: Promise<unknown>) =>
  sent.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )

test('everything a mail can hold arrives as it was given', async () => {
  const server = await startSmtp()
  cleanups.push(server.stop)
  const bytes = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 256))
  const result = await mailer(server.port).send(
    aMail({
      to: [
        { name: 'Zoë, "die" Größe 😀', address: 'zoe@to.example' },
        { name: '', address: 'bob@xn--bcher-kva.example' },
      ],
      cc: [{ name: 'Carl', address: 'carl@to.example' }],
      bcc: [{ name: 'Secret', address: 'secret@to.example' }],
      replyTo: [{ name: 'Help', address: 'help@from.example' }],
      subject:
        'Grüße aus Köln – 你好 😀, a subject long enough to be folded over more than one line of the header',
      text: 'Plain\n.\n..dots\nÄnde',
      html: '<p>Rich <img src="cid:logo@app"></p>',
      attachments: [
        { filename: 'Übersicht 2026.bin', content: bytes, contentType: 'application/octet-stream' },
        { filename: 'logo.png', content: bytes, contentType: 'image/png', cid: 'logo@app' },
      ],
      headers: { 'X-Order': '4711', 'List-Unsubscribe': '<https://from.example/u>' },
    }),
  )
  const everybody = ['zoe@to.example', 'bob@xn--bcher-kva.example', 'carl@to.example', 'secret@to.example']
  expect(result).toEqual({ accepted: everybody, refused: [] })
  const [received] = server.received
  if (received === undefined) throw new Error('nothing arrived')
  expect(received.to.map(addressKey)).toEqual(everybody)
  const { mail } = received
  expect(mail.subject).toMatch(/^Grüße aus Köln – 你好 😀, a subject .* of the header$/)
  expect(mail.messageId).toBe('<email_queue-1-abc@from.example>')
  expect(mail.from?.value).toMatchObject([{ name: 'App', address: 'app@from.example' }])
  expect(Array.isArray(mail.to) ? null : mail.to?.value[0]).toMatchObject({ name: 'Zoë, "die" Größe 😀' })
  expect(mail.replyTo?.value).toMatchObject([{ name: 'Help', address: 'help@from.example' }])
  expect(mail.headers.get('x-order')).toBe('4711')
  expect(mail.text?.trimEnd()).toBe('Plain\n.\n..dots\nÄnde')
  expect(mail.html).toContain('<p>Rich <img')
  expect(received.source.toString('latin1')).toMatch(/multipart\/alternative/)
  expect(received.source.toString('latin1')).not.toMatch(/secret|^bcc:|nodemailer/im)
  const [first, second] = mail.attachments.toSorted((a, b) =>
    (a.filename ?? '').localeCompare(b.filename ?? ''),
  )
  expect(first).toMatchObject({ filename: 'logo.png', cid: 'logo@app', related: true })
  expect(second?.filename).toBe('Übersicht 2026.bin')
  for (const attachment of mail.attachments) expect(attachment.content.equals(bytes)).toBe(true)
})

test('a sender of its own is used for the header, the envelope and the Message-ID', async () => {
  const server = await startSmtp()
  cleanups.push(server.stop)
  await mailer(server.port).send(aMail({ from: { name: 'Shop', address: 'shop@other.example' } }))
  expect(server.received).toMatchObject([
    { from: 'shop@other.example', mail: { messageId: '<email_queue-1-abc@other.example>' } },
  ])
})

test.each([
  ['one command at a time', '250 8BITMIME'],
  ['pipelined', '250 PIPELINING'],
])('recipients are sorted into accepted, refused for now and refused for good, %s', async (_way, offer) => {
  const server = await rawWith({
    EHLO: `250-raw.example\r\n${offer}`,
    'RCPT TO:<grey': '450 4.2.0 greylisted',
    'RCPT TO:<gone': '550 5.1.1 no such user',
  })
  const mail = aMail({ to: [address('ann'), address('grey')], bcc: [address('gone')] })
  const result = await mailer(server.port).send(mail)
  expect(result).toEqual({
    accepted: ['ann@to.example'],
    refused: [
      { address: 'grey@to.example', code: 450, reply: '450 4.2.0 greylisted', permanent: false },
      { address: 'gone@to.example', code: 550, reply: '550 5.1.1 no such user', permanent: true },
    ],
  })
  expect(server.contents).toHaveLength(1)
})

test('when every recipient is refused nothing is sent, and each one’s reply is told', async () => {
  const server = await rawWith({ 'RCPT TO:<a': '552 5.2.2 mailbox full', 'RCPT TO:<b': '452 4.5.3 too many' })
  const result = await mailer(server.port).send(aMail({ to: [address('a'), address('b')] }))
  expect(result.accepted).toEqual([])
  expect(result.refused.map(({ code, permanent }) => [code, permanent])).toEqual([
    [552, true],
    [452, false],
  ])
  expect(server.contents).toEqual([])
})

test.each([
  ['the sender', 'MAIL FROM', '550 5.7.1 not from you'],
  ['DATA', 'DATA', '554 5.5.1 no'],
  ['the content', 'CONTENT', '552 5.3.4 too large'],
])('a 5xx reply to %s is final and named', async (_what, command, reply) => {
  const server = await rawWith({ [command]: reply })
  const error = await failure(mailer(server.port).send(aMail()))
  expect(error).toBeInstanceOf(UnrecoverableError)
  expect(String(error)).toContain(reply)
})

test.each([
  ['the sender', 'MAIL FROM', '451 4.3.0 later'],
  ['the content', 'CONTENT', '450 4.7.1 later'],
])(
  'a 4xx reply to %s is temporary: not final, not uncertain, no fault of the server',
  async (_what, command, reply) => {
    const server = await rawWith({ [command]: reply })
    const error = await failure(mailer(server.port).send(aMail()))
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(UnrecoverableError)
    expect(error).not.toBeInstanceOf(UncertainEffectError)
    expect(error).not.toBeInstanceOf(MailServerError)
    expect(String(error)).toContain(reply)
  },
)

test.each([
  ['530 wants a login', 'MAIL FROM', '530 5.7.0 Authentication required', 'login'],
  ['530 for the recipient', 'RCPT TO', '530 5.7.0 Authentication required', 'login'],
  ['421 shuts down', 'MAIL FROM', '421 4.3.2 shutting down', 'unavailable'],
  ['421 after the content', 'CONTENT', '421 4.3.2 shutting down', 'unavailable'],
])('%s: the server’s trouble, not the mail’s', async (_what, command, reply, kind) => {
  const server = await rawWith({ [command]: reply })
  const error = await failure(mailer(server.port).send(aMail()))
  expect(error).toBeInstanceOf(MailServerError)
  expect(error).toMatchObject({ kind })
})
