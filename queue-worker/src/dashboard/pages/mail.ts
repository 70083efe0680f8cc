/**
 * One mail: its heads, text, HTML and files. What it holds was written by others: it runs nothing, and loads nothing. For operators: what
 * a mail says is hidden from viewers elsewhere.
 */
import type { Mail } from '../../services/mail-folder.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { bytes, moment } from '../format.ts'
import { type Html, html } from '../html.ts'
import { mailsOf } from './mails.ts'
import { fact } from './queue-head.ts'

/** Of a mail's own document, within a frame that is sandboxed as well. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; sandbox; frame-ancestors 'self'"

export const mailPage: Page = {
  pattern: /^\/mails\/([^/]+)$/,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const mail = await read(asked)
    return { kind: 'page', title: mail.subject || 'Mail', body: mailBody(mail, asked.base) }
  },
}

export const mailHtmlPage: Page = {
  pattern: /^\/mails\/([^/]+)\/html$/,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const { html: body } = await read(asked)
    return { kind: 'file', type: 'text/html; charset=utf-8', body: body ?? '', policy: POLICY }
  },
}

export const mailRawPage: Page = {
  pattern: /^\/mails\/([^/]+)\/raw$/,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const { raw, id } = await read(asked)
    return { kind: 'file', type: 'message/rfc822', body: raw, saveAs: id }
  },
}

export const mailFilePage: Page = {
  pattern: /^\/mails\/([^/]+)\/files\/(\d{1,4})$/,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const { attachments } = await read(asked)
    const file = attachments[Number(asked.found[1])]
    if (file === undefined) throw new PageError(404, 'The mail has no such file.', 'Go back to the mail.')
    // Saved, never shown: whatever type it claims to be.
    return { kind: 'file', type: 'application/octet-stream', body: file.content, saveAs: file.name }
  },
}

async function read(asked: Asked): Promise<Mail> {
  const mail = await mailsOf(asked).read(asked.found[0] ?? '')
  if (mail === null) throw new PageError(404, 'There is no such mail.', 'It may have been removed.')
  return mail
}

function mailBody(mail: Mail, base: string): Html {
  const { id, subject, from, to, at, text, html: markup, attachments, headers } = mail
  const place = `${base}/mails/${id}`
  return html`<h1>${subject || '(no subject)'}</h1>
<dl class="facts">${fact('From', from)}${fact('To', to)}${fact('Came', moment(at.toISOString()))}</dl>
${
  attachments.length > 0 &&
  html`<h2>Files</h2><ul class="files">${attachments.map(
    (file, index) =>
      html`<li><a href="${place}/files/${index}" download>${file.name}</a> <small>${file.type}, ${bytes(file.content.length)}</small></li>`,
  )}</ul>`
}
${
  markup !== null &&
  html`<h2>HTML</h2><iframe class="mail" sandbox src="${place}/html" title="The mail's HTML"></iframe>
<p><small>Shown without scripts, and without what it would load from elsewhere.</small></p>`
}
${text !== null && html`<h2>Text</h2><pre tabindex="0" aria-label="The mail's text">${text}</pre>`}
<h2>Headers</h2><div class="wide"><table class="headers"><caption class="hidden">Headers</caption><thead class="hidden"><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>
<tbody>${headers.map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="said mono">${value}</td></tr>`)}</tbody></table></div>
<p><a class="button" href="${place}/raw" download>Download as it came</a> <a href="${base}/mails">All mails</a></p>`
}
