/** Open to whoever sits at this machine: for the embedded stack on loopback, where there is nothing to protect but from other sites. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isSameText } from '../../server/tokens.ts'
import type { Access } from '../visitor.ts'
import { isForeign } from './origin.ts'
import { isWithinMachine } from './proxies.ts'
import { refuse } from './refuse.ts'
import { HOW_TO_OPEN } from './settings.ts'

export function openAccess(): Access {
  const csrf = randomBytes(24).toString('base64url')
  return {
    async admit(request, response, base) {
      if (isDirect(request)) return { name: 'local', role: 'operator', csrf, canLogOut: false }
      const message =
        'Without a token the dashboard is for this machine alone, by the name localhost or 127.0.0.1.'
      return refuse({ request, response, base, at: '/' }, { status: 403, message, remedy: HOW_TO_OPEN })
    },
    isOurs: (request, visitor, form) =>
      isDirect(request) &&
      !isForeign(request, [request.headers.host ?? '']) &&
      isSameText(form.get('csrf') ?? '', visitor.csrf),
  }
}

/** What comes through a proxy or a tunnel comes from anywhere. */
function isDirect(request: IncomingMessage): boolean {
  const { headers } = request
  return isWithinMachine(request) && !PASSED_ON.some((name) => headers[name] !== undefined)
}

const PASSED_ON = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']
