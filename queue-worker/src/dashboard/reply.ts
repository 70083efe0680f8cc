/** Writes what a page answered, with the headers that keep it safe in the browser. */
import type { ServerResponse } from 'node:http'
import type { Reply } from './asked.ts'
import { layout, type Section } from './layout.ts'
import type { Visitor } from './visitor.ts'

/** Everything from here, nothing inline, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Of every answer below the dashboard's path; a page says more about what it may load. */
export const SAFE = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

export type Sending = {
  readonly base: string
  /** Where the page is, below base, with its query. */
  readonly at: string
  readonly visitor: Visitor | null
  readonly sections: readonly Section[]
}

export function sendReply(response: ServerResponse, reply: Reply, sending: Sending): void {
  const { base, at, visitor, sections } = sending
  if (reply.kind === 'redirect' || reply.kind === 'elsewhere') {
    const location = reply.kind === 'elsewhere' ? reply.to : `${base}${reply.to}`
    response.writeHead(303, { ...SAFE, location })
    response.end()
  } else if (reply.kind === 'file') {
    const policy = reply.policy ?? "default-src 'none'; sandbox; frame-ancestors 'self'"
    const disposition =
      reply.saveAs === undefined
        ? 'inline'
        : `attachment; filename*=UTF-8''${encodeURIComponent(reply.saveAs.toWellFormed())}`
    response.writeHead(200, {
      ...SAFE,
      'content-type': reply.type,
      'content-security-policy': policy,
      'content-disposition': disposition,
    })
    response.end(reply.body)
  } else {
    const { title, body, status = 200, live = false } = reply
    response.writeHead(status, {
      ...SAFE,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
    })
    response.end(layout({ base, title, body, visitor, liveAt: live ? at : null, sections }))
  }
}
