/** Who looks at the dashboard, and who lets them in. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A viewer looks; an operator acts as well. */
export type Role = 'viewer' | 'operator'

export type Visitor = {
  /** For the audit table and the page's corner. */
  readonly name: string
  readonly role: Role
  /** What each form must bring back, so that no other site can send it. */
  readonly csrf: string
  /** False where a reverse proxy or nobody asked for a token. */
  readonly canLogOut: boolean
}

export type Access = {
  /** Null: it was answered already (a page to log in, a redirect, a refusal). `base` is the path of the dashboard as the browser sees it. */
  admit(request: IncomingMessage, response: ServerResponse, base: string): Promise<Visitor | null>
  /** Whether a request that changes something came from one of our own pages. */
  isOurs(request: IncomingMessage, visitor: Visitor, form: URLSearchParams): boolean
}
