/** As much of PostgreSQL's wire protocol as it takes to hand one session to many connections. Pure. */

/** What a connection says first: it wants encryption, or a running call to be stopped, or to begin. */
export type Opening = 'encrypt' | 'cancel' | 'begin'

const OPENINGS: ReadonlyMap<number, Opening> = new Map([
  [80877103, 'encrypt'],
  [80877104, 'encrypt'],
  [80877102, 'cancel'],
])

/** The first message has no type; null as long as it has not arrived whole. */
export function takeOpening(bytes: Buffer): { opening: Opening; rest: Buffer } | null {
  if (bytes.length < 8) return null
  const length = bytes.readInt32BE(0)
  if (bytes.length < length) return null
  return { opening: OPENINGS.get(bytes.readInt32BE(4)) ?? 'begin', rest: bytes.subarray(length) }
}

/** All messages that have arrived whole; `isGoodbye`: after them the client has said that it goes. */
export function takeMessages(bytes: Buffer): { whole: Buffer; rest: Buffer; isGoodbye: boolean } {
  let end = 0
  for (const { type, from, to } of messagesOf(bytes)) {
    if (type === 'X') return { whole: bytes.subarray(0, from), rest: Buffer.alloc(0), isGoodbye: true }
    end = to
  }
  return { whole: bytes.subarray(0, end), rest: bytes.subarray(end), isGoodbye: false }
}

/** The last word of the answer is that the session is ready, and in no transaction: somebody else's turn. */
export function isTurnOver(answer: Buffer): boolean {
  let last = ''
  for (const { type, from } of messagesOf(answer))
    last = type === 'Z' ? `Z${answer.toString('latin1', from + 5, from + 6)}` : type
  return last === 'ZI'
}

function* messagesOf(bytes: Buffer) {
  for (let from = 0; from + 5 <= bytes.length; ) {
    const to = from + 1 + bytes.readInt32BE(from + 1)
    if (to > bytes.length) return
    yield { type: bytes.toString('latin1', from, from + 1), from, to }
    from = to
  }
}

/** Accepts whoever comes, and says what clients want to know of a server. */
export function greeting(serverVersion: string): Buffer {
  const parameters = {
    server_version: serverVersion,
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    integer_datetimes: 'on',
    standard_conforming_strings: 'on',
  }
  return Buffer.concat([
    message('R', Buffer.alloc(4)),
    ...Object.entries(parameters).map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
    message('K', Buffer.alloc(8)),
    message('Z', Buffer.from('I')),
  ])
}

export function statement(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`))
}

/** Ends whatever a client that has gone has left unfinished. */
export const ABANDON = Buffer.concat([message('S', Buffer.alloc(0)), statement('rollback')])

export const NO_ENCRYPTION = Buffer.from('N')

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
