import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { emailPayload } from '../../src/processors/email-payload.ts'

const schema = emailPayload({ maxAttachmentBytes: 1000 })
const least = { to: 'a@b.example', subject: 'Hi', text: 'Hello' }
const problemsOf = (payload: unknown) => {
  const { error } = schema.safeParse(payload)
  return error === undefined ? '' : z.prettifyError(error)
}

test('the names people use for the same thing mean the same', () => {
  const parsed = schema.parse({
    to: ['a@b.example'],
    subject: 'Hi',
    body: 'Hello',
    reply_to: 'r@b.example',
    html: null,
  })
  expect(parsed).toMatchObject({ text: 'Hello', html: undefined, replyTo: [{ address: 'r@b.example' }] })
})

test('attachments are text or base64, also as Postgres writes it with line breaks', () => {
  const data = Buffer.from('x'.repeat(200))
  const broken = (data.toString('base64').match(/.{1,76}/g) ?? []).join('\n')
  const { attachments } = schema.parse({
    ...least,
    attachments: [
      { filename: 'a.csv', content: 'ä;b', cid: null, content_type: 'text/csv; charset=utf-8' },
      { filename: 'b.bin', contentBase64: broken },
    ],
  })
  expect(attachments[0]).toMatchObject({
    content: Buffer.from('ä;b'),
    contentType: 'text/csv; charset=utf-8',
  })
  expect(attachments[1]?.content.equals(data)).toBe(true)
})

test('the size limit counts all attachments together, decoded, to the byte', () => {
  const half = (bytes: number) => ({ filename: 'a', contentBase64: Buffer.alloc(bytes).toString('base64') })
  expect(problemsOf({ ...least, attachments: [half(500), half(500)] })).toBe('')
  expect(problemsOf({ ...least, attachments: [half(500), half(501)] })).toMatch(
    /1001 bytes of attachments, the limit is 1000 \(EMAIL_MAX_ATTACHMENT_BYTES\)/,
  )
})

test.each([
  ['no object', 'hello', /an e-mail message is a JSON object/],
  ['no recipient', { subject: 'Hi', text: 'x' }, /address or a list of addresses[\s\S]*at to/],
  ['an empty list', { ...least, to: [] }, /the list is empty[\s\S]*at to/],
  ['a bad address', { ...least, cc: ['a@b.example', 'ann'] }, /"ann" is not an e-mail address[\s\S]*at cc/],
  ['a line break in an address', { ...least, to: 'a@b.example\nBcc: c@d.example' }, /line breaks/],
  ['two senders', { ...least, from: 'a@b.example, c@d.example' }, /from takes one address/],
  ['an unknown key', { ...least, subjekt: 'x' }, /unknown key "subjekt"; known are: to, cc/],
  ['no content', { to: 'a@b.example', subject: 'Hi' }, /nothing to send: give text, html or template/],
  ['empty content', { ...least, text: '' }, /nothing to send/],
  ['no subject', { to: 'a@b.example', text: 'x' }, /the subject is missing/],
  [
    'a line break in the subject',
    { ...least, subject: 'a\r\nBcc: x' },
    /subject must not contain line breaks/,
  ],
  ['text and body', { ...least, body: 'x' }, /text or body, not both/],
  ['a template and text', { ...least, template: 'welcome' }, /a template, or text and html, not both/],
  ['variables without a template', { ...least, variables: {} }, /variables need a template/],
  ['a header that is ours', { ...least, headers: { 'message-ID': 'x' } }, /"message-ID" cannot be set here/],
  ['a content header', { ...least, headers: { 'Content-Type': 'x' } }, /"Content-Type" cannot be set here/],
  ['a broken header name', { ...least, headers: { 'X: y\r\nBcc': 'x' } }, /is not a header name/],
  [
    'a line break in a header',
    { ...least, headers: { 'X-A': 'a\nBcc: x@y.example' } },
    /must not contain line breaks/,
  ],
  [
    'an attachment from a file',
    { ...least, attachments: [{ filename: 'a', path: '/etc/passwd' }] },
    /unknown key "path".*not fetched/,
  ],
  [
    'an attachment without content',
    { ...least, attachments: [{ filename: 'a' }] },
    /"a": give either content/,
  ],
  [
    'broken base64',
    { ...least, attachments: [{ filename: 'a', contentBase64: 'a*==' }] },
    /"a": contentBase64 is not base64/,
  ],
  [
    'a broken type',
    { ...least, attachments: [{ filename: 'a', content: 'x', contentType: 'a/b\r\nX: y' }] },
    /must look like/,
  ],
  [
    'too many recipients',
    { ...least, to: Array.from({ length: 101 }, (_, n) => `a${n}@b.example`) },
    /101 recipients.*at most 100/,
  ],
])('%s is refused in words that help', (_what, payload, problem) => {
  expect(problemsOf(payload)).toMatch(problem)
})

test('every example of the manual is a valid message', () => {
  const manual = readFileSync(join(import.meta.dirname, '../../../docs/processors/email.md'), 'utf8')
  const examples = [...manual.matchAll(/pgmq\.send\('email_queue', '([\s\S]*?)'::jsonb/g)]
  expect(examples.length).toBeGreaterThanOrEqual(3)
  for (const [, json = ''] of examples) expect(problemsOf(JSON.parse(json.replaceAll("''", "'")))).toBe('')
})
