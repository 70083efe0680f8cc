/** What the demo sends: one message for each thing that can happen to one. */

export type DemoMessage = { readonly title: string; readonly expect: string; readonly payload: object }

export const DEMO_QUEUE = 'email_queue'
/** Where another process runs the stack, its worker must not take what the demo sends. */
export const DEMO_QUEUE_BESIDE = 'demo_email_queue'

export const DEMO_MESSAGES: readonly DemoMessage[] = [
  {
    title: 'a welcome mail from a template',
    expect: 'sent',
    payload: {
      to: 'Ada Lovelace <ada@example.com>',
      template: 'welcome',
      variables: { name: 'Ada', product: 'Analytical Engines', url: 'https://example.com/start' },
    },
  },
  {
    title: 'an invoice with an attachment',
    expect: 'sent',
    payload: {
      to: 'accounts@example.com',
      subject: 'Your invoice 2026-0042',
      text: 'Dear customer,\n\nyour invoice is attached.\n',
      attachments: [
        {
          filename: 'invoice-2026-0042.csv',
          content: 'item,amount\nSupport,120.00\n',
          contentType: 'text/csv',
        },
      ],
    },
  },
  {
    title: 'a mail to a mailbox that refuses it for good',
    expect: 'dead letter',
    payload: { to: 'refused@example.com', subject: 'Hello?', text: 'Is anybody there?' },
  },
  {
    title: 'a mail that fails once and then succeeds',
    expect: 'sent',
    payload: {
      to: 'busy-once@example.com',
      subject: 'Second time lucky',
      text: 'The mailbox was busy at first.',
    },
  },
  {
    title: 'a message with an invalid payload',
    expect: 'dead letter',
    payload: { to: 'not an address', subject: 'Oops' },
  },
]
