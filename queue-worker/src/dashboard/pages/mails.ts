/** The mails that the embedded stack caught, the newest first: nothing left this machine. */
import type { MailLine, MailPage } from '../../services/mail-folder.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { bytes, moment } from '../format.ts'
import { type Html, html } from '../html.ts'

const PAGE = 50

export const mailsPage: Page = {
  pattern: /^\/mails$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const { query } = asked
    const before = query.get('before') ?? undefined
    const about = query.get('about') || undefined
    const page = await mailsOf(asked).list({ limit: PAGE, before, about })
    const body = html`<h1>Mails</h1>
<p>Caught by the embedded stack's mail server: none of them left this machine.</p>
${about !== undefined && html`<p>Those about <code>${about}</code>. <a href="${asked.base}/mails">All mails</a></p>`}
${page.mails.length > 0 ? mailsTable(page.mails, asked.base) : nothing(asked.base, before !== undefined || about !== undefined)}
${pager(page, asked.base, before, about)}`
    return { kind: 'page', title: 'Mails', body, live: before === undefined }
  },
}

export function mailsOf({ ground }: Asked) {
  const { mails } = ground
  if (mails) return mails
  throw new PageError(
    404,
    'No mails are caught here.',
    'Only the embedded stack (npx queue-worker dev) keeps the mails it is sent. Here they go to the mail server of the settings.',
  )
}

function mailsTable(mails: readonly MailLine[], base: string): Html {
  return html`<div class="wide"><table class="mails">
<caption class="hidden">Mails, the newest first</caption>
<thead><tr><th scope="col">Subject</th><th scope="col">To</th><th scope="col">From</th><th scope="col">When</th><th scope="col" class="n">Size</th></tr></thead>
<tbody>${mails.map(
    ({ id, subject, to, from, at, bytes: size }) =>
      html`<tr><th scope="row"><a href="${base}/mails/${id}">${subject || '(no subject)'}</a></th><td class="said">${to}</td><td class="said">${from}</td><td>${moment(at.toISOString())}</td><td class="n">${bytes(size)}</td></tr>`,
  )}</tbody></table></div>`
}

function nothing(base: string, isNarrowed: boolean): Html {
  if (isNarrowed) return html`<p class="empty">There is no such mail.</p>`
  return html`<p class="empty">No mail has come yet. <a href="${base}/queues/email_queue/send">Send a test message</a> to email_queue: its mail then is here.</p>`
}

function pager(
  { next }: MailPage,
  base: string,
  before: string | undefined,
  about: string | undefined,
): Html {
  if (next === null && before === undefined) return html``
  const older = new URLSearchParams({ before: next ?? '' })
  if (about !== undefined) older.set('about', about)
  return html`<nav class="pages" aria-label="Pages of mails">${before !== undefined && html`<a class="button" href="${base}/mails">Newest</a>`}${
    next !== null && html`<a class="button" rel="next" href="${base}/mails?${older.toString()}">Older</a>`
  }</nav>`
}
