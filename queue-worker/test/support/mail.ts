import type { Mail } from '../../src/services/email-message.ts'

export const ANN = { name: 'Ann', address: 'ann@to.example' }

/** A mail with the least it needs, and what the test adds. */
export function aMail(given: Partial<Mail> = {}): Mail {
  return {
    key: 'email_queue-1-abc',
    from: undefined,
    to: [ANN],
    cc: [],
    bcc: [],
    replyTo: [],
    subject: 'Hello',
    text: 'Hello Ann',
    html: undefined,
    attachments: [],
    headers: {},
    ...given,
  }
}
