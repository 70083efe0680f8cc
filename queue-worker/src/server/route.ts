/** What the server answers beside health and metrics: each route is a file of its own. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer } from './answer.ts'

export type Route = {
  /** Shown to who asks for what is not there. */
  readonly path: string
  readonly pattern: RegExp
  readonly methods: readonly string[]
  /** `found`: what the pattern's groups caught. */
  handle(request: IncomingMessage, response: ServerResponse, found: readonly string[]): Promise<void>
}

/** False: the path is none of theirs. */
export function takenByRoute(
  routes: readonly Route[],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const route = routes.find(({ pattern }) => pattern.test(path))
  if (route === undefined) return false
  const { methods, pattern } = route
  if (!methods.includes(request.method ?? '')) {
    // Whatever body it has is not waited for.
    const headers = { allow: methods.join(', '), connection: 'close' }
    answer(response, 405, { error: `use ${methods.join(' or ')}` }, headers)
    return true
  }
  const [, ...found] = pattern.exec(path) ?? []
  // A mistake of ours must not end the worker; what it was about may be secret. Who hung up gets no answer.
  route.handle(request, response, found).catch(() => {
    if (response.headersSent) response.destroy()
    else answer(response, 500, { error: 'this should not have happened' }, { connection: 'close' })
  })
  return true
}
