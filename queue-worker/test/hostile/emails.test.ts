/** Whatever an e-mail message says: a mail says that and nothing else, to those it names, or the message is refused in words. */
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { emailPayload } from '../../src/processors/email-payload.ts'
import { type Cleanups, processorFor } from '../support/email-processor.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { startSmtp } from '../support/smtp.ts'

const cleanups: Cleanups = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** What makes a header of its own where line breaks get through, in all kinds of line breaks. */
const breaks = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\n ',
  '\u0085',
  '\u2028',
  '\v',
  '\f',
  '%0d%0a',
  '\\r\\n',
  '=0D=0A',
)
const injected = fc
  .tuple(
    nastyText,
    breaks,
    fc.constantFrom('Bcc: eve@evil.example', 'X-Injected: yes', '\r\n<b>body</b>', '.\r\nQUIT'),
  )
  .map((parts) => parts.join(''))
// From the database come whole characters and no NUL.
const text = fc.oneof(injected, nastyText).filter((one) => one.isWellFormed() && !one.includes('\u0000'))
const address = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('ann@to.example', 'Ann <ann@to.example>', '"A, nn" <ann@to.example>'),
  },
  text.map((name) => `"${name}" <ben@to.example>`),
  text.map((name) => `${name} <ben@to.example>`),
  text.map((one) => `${one}@to.example`),
  text,
  fc.constantFrom(
    'a@b.example>\r\nRCPT TO:<eve@evil.example',
    '<a@b.example> NOTIFY=NEVER',
    'a@b@c.example',
    'a@[127.0.0.1]',
  ),
)
const attachment = fc.record(
  {
    filename: fc.oneof(text, fc.constantFrom('../../../etc/passwd', 'a.txt"; x="y', 'con')),
    content: text,
    contentBase64: fc.oneof(fc.base64String(), text),
    contentType: fc.oneof(fc.constantFrom('text/plain', 'text/html; x="y"', 'a/b\r\nX-Injected: yes'), text),
    cid: text,
    path: fc.constantFrom('/etc/passwd', 'http://127.0.0.1:1/'),
    href: fc.constant('file:///etc/passwd'),
    raw: fc.constant('X-Injected: yes'),
  },
  { requiredKeys: ['filename'] },
)
const header = fc.oneof(
  fc.constantFrom(
    'X-Tag',
    'Bcc',
    'From',
    'Content-Type',
    'Message-ID',
    'X-Injected: yes\r\nX',
    '__proto__',
    'List-Unsubscribe',
  ),
  text,
)
const extras = fc.record(
  {
    to: fc.oneof(address, fc.array(address, { maxLength: 3 })),
    cc: address,
    bcc: address,
    replyTo: address,
    from: address,
    subject: text,
    text,
    html: text,
    headers: fc.dictionary(header, text, { maxKeys: 2 }),
    attachments: fc.array(attachment, { maxLength: 2 }),
    envelope: fc.constant({ to: 'eve@evil.example' }),
    raw: fc.constant('Bcc: eve@evil.example'),
    dsn: fc.constant({ recipient: 'eve@evil.example' }),
  },
  { requiredKeys: [] },
)

/** Names of headers that a mail of ours may have. */
const OURS =
  /^(from|to|cc|reply-to|subject|message-id|date|mime-version|content-(type|transfer-encoding|disposition|id)|x-tag|list-unsubscribe)$/i

test('a mail has no header, recipient or attachment but those its message names', async () => {
  const smtp = await startSmtp()
  cleanups.push(smtp.stop)
  const deliver = processorFor(cleanups, smtp.port)
  const schema = emailPayload({ maxAttachmentBytes: 1_000_000 })
  let [taken, refused] = [0, 0]
  // A part or two of each, as most of these alone are reason enough to refuse a message.
  const some = fc.tuple(extras, fc.nat(), fc.nat()).map(([all, first, second]) => {
    const entries = Object.entries(all)
    return Object.fromEntries(
      entries.filter((_, at) => [first, second].some((n) => n % entries.length === at)),
    )
  })
  const { isComplete } = await forAll(some, { runs: 200 }, async (extra) => {
    const message = { to: 'ann@to.example', subject: 'Hi', text: 'Hello', ...extra }
    const parsed = schema.safeParse(message)
    if (!parsed.success) {
      refused += 1
      expect(z.prettifyError(parsed.error)).toMatch(/\S{3}/)
      return
    }
    const before = smtp.received.length
    const { error } = await deliver(message)
    expect(error).toBeUndefined()
    taken += 1
    expect(smtp.received).toHaveLength(before + 1)
    const mail = smtp.received.at(-1)
    if (mail === undefined) return
    const { to, cc, bcc, subject, attachments, headers } = parsed.data
    const named = [...to, ...cc, ...bcc].map((one) => one.address.toLowerCase())
    expect(mail.to.map((one) => one.toLowerCase()).toSorted()).toEqual([...new Set(named)].toSorted())
    const [head = ''] = mail.source.toString('latin1').split('\r\n\r\n')
    const names = head
      .split('\r\n')
      .filter((line) => !/^\s/.test(line))
      .map((line) => line.split(':')[0] ?? '')
    const asked = Object.keys(headers).map((name) => name.toLowerCase())
    for (const name of names) expect(OURS.test(name) || asked.includes(name.toLowerCase()), name).toBe(true)
    expect(head).not.toMatch(/^(x-injected|bcc):/im)
    expect(head).not.toMatch(/[^\r]\n|\r[^\n]/)
    expect(squeezed(mail.mail.subject)).toBe(squeezed(subject))
    expect(mail.mail.attachments.map((one) => one.size)).toEqual(
      attachments.map(({ content }) => content.length),
    )
    expect(mail.source.toString('latin1')).not.toContain('root:x:0')
  })
  // What nothing of can be sent, or everything, has not been a test.
  if (isComplete) expect(Math.min(taken, refused)).toBeGreaterThan(10)
})

test('what a message gives for a template’s variables is text, never template or markup', async () => {
  const smtp = await startSmtp()
  cleanups.push(smtp.stop)
  const deliver = processorFor(cleanups, smtp.port)
  const sly = fc.constantFrom(
    '{{ 191 | times: 7 }}',
    '{% include "welcome.subject" %}',
    "{% render '../package.json' %}",
    '{% assign x = 1337 %}{{ x }}',
    '<script>alert(1337)</script>',
    '" onmouseover="alert(1)',
    '{{ constructor.constructor }}',
  )
  const value = fc.oneof(
    sly,
    text.filter((one) => /\S/.test(one)),
    fc.constantFrom<unknown>(['{{ 1 }}'], { a: 1 }, 7),
  )
  await forAll(fc.record({ name: value, url: sly }), { runs: 40 }, async (variables) => {
    const { error } = await deliver({ to: 'ann@to.example', template: 'welcome', variables })
    expect(error).toBeUndefined()
    const mail = smtp.received.at(-1)?.mail
    if (typeof variables.name === 'string') {
      expect(squeezed(mail?.subject)).toBe(squeezed(`Welcome, ${variables.name}`))
      expect(squeezed(mail?.text)).toContain(squeezed(variables.name))
    }
    expect(`${mail?.html}`).not.toMatch(/<script|" onmouseover|\{\{ 1337 \}\}/)
    expect(`${mail?.subject} ${mail?.text} ${mail?.html}`).not.toMatch(
      /(?<!alert\(|= )1337|native code|"dependencies"/,
    )
  })
})

test('a template’s name leads to no other file, and an unknown one is told with those there are', async () => {
  const smtp = await startSmtp()
  cleanups.push(smtp.stop)
  const deliver = processorFor(cleanups, smtp.port)
  const name = fc.oneof(
    text,
    fc.constantFrom('../../package', '/etc/passwd', 'welcome/../welcome', 'welcome.text', 'WELCOME'),
  )
  await forAll(
    name.filter((one) => one !== 'welcome'),
    { runs: 60 },
    async (template) => {
      const { error } = await deliver({ to: 'ann@to.example', template, variables: {} })
      expect(String(error)).toMatch(
        /^UnrecoverableError: (There is no e-mail template|Not the name of) .*known are: .*welcome/s,
      )
      expect(String(error).length).toBeLessThan(600)
    },
  )
  expect(smtp.received).toEqual([])
})

/** Without what mail may do to white space and to what nobody sees. */
function squeezed(given: string | undefined): string {
  return (given ?? '').normalize().replace(/[\p{Z}\p{C}]+/gu, '')
}
