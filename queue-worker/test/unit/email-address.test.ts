import fc from 'fast-check'
import { expect, test } from 'vitest'
import { messageIdFor, recipientsOf } from '../../src/services/email-message.ts'
import { parseAddresses } from '../../src/utils/email-address.ts'

test.each([
  ['a@b.example', [['', 'a@b.example']]],
  [' Ann Lee <Ann.Lee@B.Example> ', [['Ann Lee', 'Ann.Lee@b.example']]],
  ['"Lee, \\"Ann\\"" <a@b.example>', [['Lee, "Ann"', 'a@b.example']]],
  [
    'a@b.example, Ben <b@b.example>,',
    [
      ['', 'a@b.example'],
      ['Ben', 'b@b.example'],
    ],
  ],
  ['<a+tag@b.example>', [['', 'a+tag@b.example']]],
  ['a@bücher.example', [['', 'a@xn--bcher-kva.example']]],
  ['jörg@b.example', [['', 'jörg@b.example']]],
  ['root@localhost', [['', 'root@localhost']]],
])('%j is read', (text, expected) => {
  const parsed = parseAddresses(text)
  expect(parsed.problem).toBeUndefined()
  if (parsed.problem !== undefined) return
  expect(parsed.addresses.map(({ name, address }) => [name, address])).toEqual(expected)
})

test.each([
  ['', /no e-mail address/],
  ['ann', /"ann" is not an e-mail address/],
  ['@b.example', /not an e-mail address/],
  ['a@', /not an e-mail address/],
  ['a b@c.example', /not an e-mail address/],
  ['a@b..example', /not an e-mail address/],
  ['a@-b.example', /not an e-mail address/],
  ['.a@b.example', /not an e-mail address/],
  ['Lee, Ann <a@b.example>', /"Lee" is not an e-mail address/],
  ['a@b.example>', /not an e-mail address/],
  ['a@b.example\r\nBcc: x@y.example', /line breaks/],
])('%j is refused', (text, problem) => {
  expect(parseAddresses(text).problem).toMatch(problem)
})

test('whatever is read holds no character that could end an SMTP command or a header', () => {
  const pieces = fc.array(
    fc.constantFrom('a', '.', '@', '<', '>', ',', '"', '\\', ' ', '\r', '\n', 'ü', '(', ';', '\0'),
  )
  fc.assert(
    fc.property(pieces, (parts) => {
      const parsed = parseAddresses(parts.join(''))
      if (parsed.problem !== undefined) return
      for (const { name, address } of parsed.addresses) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
        expect(address).not.toMatch(/[\s<>,;"()\\\x00-\x1f]/)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
        expect(name).not.toMatch(/[\x00-\x1f]/)
        expect(address.split('@')).toHaveLength(2)
      }
    }),
    { numRuns: 3000 },
  )
})

test('a mailbox named several times is one recipient', () => {
  const box = (address: string) => ({ name: '', address })
  const mail = {
    to: [box('Ann@b.example'), box('ben@b.example')],
    cc: [box('ann@b.example')],
    bcc: [box('ben@b.example')],
  }
  expect(recipientsOf(mail)).toEqual(['Ann@b.example', 'ben@b.example'])
})

test('a Message-ID is valid for every key, and different for different keys', () => {
  const from = { name: '', address: 'a@b.example' }
  expect(messageIdFor('email_queue-1-abc', from)).toBe('<email_queue-1-abc@b.example>')
  expect(messageIdFor('a:b c@d', from)).toBe('<a%3Ab%20c%40d@b.example>')
  const key = fc.string({ unit: 'binary', maxLength: 300 })
  fc.assert(
    fc.property(key, key, (one, other) => {
      expect(messageIdFor(one, from)).toMatch(
        /^<[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@b\.example>$/,
      )
      if (one.toWellFormed() !== other.toWellFormed())
        expect(messageIdFor(one, from)).not.toBe(messageIdFor(other, from))
    }),
  )
})
