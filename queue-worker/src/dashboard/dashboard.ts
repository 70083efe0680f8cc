/** The dashboard as one route of the server: lets in, finds the page, answers. */
import { type IncomingMessage, METHODS } from 'node:http'
import { ConnectionFailure, SetupError } from '../errors.ts'
import { answer } from '../server/answer.ts'
import { readForm } from '../server/body.ts'
import type { Route } from '../server/route.ts'
import type { Logger } from '../utils/logger.ts'
import { type Ground, type Page, PageError, type Reply } from './asked.ts'
import { answerAsset } from './assets.ts'
import { html } from './html.ts'
import type { Section } from './layout.ts'
import { databaseErrorPage, errorPage } from './pages/error.ts'
import { noticeOf } from './pages/notice.ts'
import { placePattern } from './place.ts'
import { SAFE, sendReply } from './reply.ts'
import type { Access, Visitor } from './visitor.ts'

/** A message that somebody writes into a form. */
const MAX_FORM_BYTES = 1024 * 1024
const ALLOWED = ['GET', 'HEAD', 'POST']

export type DashboardParts = {
  /** '/dashboard': where it is on this server. */
  readonly path: string
  /** The path as the browser sees it: another one behind a reverse proxy that takes away a prefix. */
  readonly baseOf: (request: IncomingMessage) => string
  readonly access: Access
  readonly ground: Ground
  readonly pages: readonly Page[]
  readonly sections: readonly Section[]
  readonly logger: Pick<Logger, 'warn' | 'error'>
}

export function createDashboardRoute(parts: DashboardParts): Route {
  const { path: place, baseOf, access, ground, pages, sections, logger } = parts

  return {
    path: place,
    pattern: placePattern(place),
    // All, so that a refusal has the same headers as a page.
    methods: METHODS,
    async handle(request, response, [below = '']) {
      for (const [name, value] of Object.entries(SAFE)) response.setHeader(name, value)
      if (!ALLOWED.includes(request.method ?? '')) {
        const headers = { allow: [...ALLOWED, 'OPTIONS'].join(', '), connection: 'close' }
        if (request.method === 'OPTIONS') return answer(response, 200, { methods: ALLOWED }, headers)
        return answer(response, 405, { error: `use ${ALLOWED.join(' or ')}` }, headers)
      }
      const base = baseOf(request)
      const [, asset] = /^\/assets\/([a-z.]+)$/.exec(below) ?? []
      if (asset !== undefined && (await answerAsset(asset, request, response))) return
      if (below === '') return sendReply(response, { kind: 'redirect', to: '/' }, frame(base, '/', null))
      const visitor = await access.admit(request, response, base)
      if (visitor === null) return
      const query = new URLSearchParams(request.url?.split('?').slice(1).join('?') ?? '')
      const at = query.size > 0 ? `${below}?${query}` : below
      const reply = await answerTo(request, { below, query, base, visitor })
      if (reply !== null) sendReply(response, reply, frame(base, at, visitor))
    },
  }

  function frame(base: string, at: string, visitor: Visitor | null) {
    return {
      base,
      at,
      visitor,
      sections: sections.filter(({ needs }) => needs === undefined || ground[needs]),
    }
  }

  type Found = {
    readonly below: string
    readonly query: URLSearchParams
    readonly base: string
    readonly visitor: Visitor
  }

  /** Null: who asked hung up. */
  async function answerTo(
    request: IncomingMessage,
    { below, query, base, visitor }: Found,
  ): Promise<Reply | null> {
    const method = request.method === 'POST' ? 'POST' : 'GET'
    try {
      const page = pages.find((one) => one.method === method && one.pattern.test(below))
      if (page === undefined)
        throw new PageError(404, 'There is no such page.', 'The overview leads everywhere.')
      if (page.role === 'operator' && visitor.role !== 'operator')
        throw new PageError(
          403,
          'You may look, but not act.',
          'Log in with a token of an operator (ADMIN_TOKEN).',
        )
      const form = method === 'POST' ? await readForm(request, MAX_FORM_BYTES) : new URLSearchParams()
      if (form === null)
        throw new PageError(413, 'This form is too large or no form.', 'Send large messages with SQL.')
      if (method === 'POST' && !access.isOurs(request, visitor, form))
        throw new PageError(
          403,
          'This form did not come from this page.',
          'Load the page again, and try once more.',
        )
      const [, ...found] = page.pattern.exec(below) ?? []
      const asked = { ground, visitor, base, found: found.map(decode), query, form }
      const reply = await page.answer(asked)
      if (reply.kind !== 'page' || !query.has('notice')) return reply
      const notice = await noticeOf(asked, `${below}?${query}`)
      return { ...reply, body: html`${notice}${reply.body}` }
    } catch (error) {
      if (error instanceof PageError) return errorPage(error, base)
      if (error instanceof SetupError) return errorPage(new PageError(503, error.message, error.remedy), base)
      if (error instanceof ConnectionFailure) {
        if (error.kind !== 'rejected')
          logger.warn({ kind: error.kind }, `the dashboard got no answer: ${error.message}`)
        return databaseErrorPage(error)
      }
      logger.error({ err: error }, `a page of the dashboard failed: ${below}`)
      return errorPage(
        new PageError(500, 'This should not have happened.', 'The log of the worker tells more.'),
        base,
      )
    }
  }
}

function decode(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? '')
  } catch {
    throw new PageError(404, 'There is no such page.', 'The overview leads everywhere.')
  }
}
