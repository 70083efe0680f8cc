/** Open to whoever sits at this machine: for the embedded stack on loopback, where there is nothing to protect but from other sites. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { answer } from '../../server/answer.ts'
import { isLoopback } from '../../utils/loopback.ts'
import type { Access } from '../visitor.ts'

export function openAccess(): Access {
  const csrf = randomBytes(24).toString('base64url')
  return {
    async admit(request, response) {
      if (isLocal(request)) return { name: 'local', role: 'operator', csrf, canLogOut: false }
      answer(response, 403, { error: 'only from this machine, by the name localhost or 127.0.0.1' })
      return null
    },
    isOurs: (request, visitor, form) => isLocal(request) && sameText(form.get('csrf') ?? '', visitor.csrf),
  }
}

/** By its name too: a name of somebody else's that leads to 127.0.0.1 is another site's page. */
function isLocal({ headers, socket }: IncomingMessage): boolean {
  const host = (headers.host ?? '').replace(/:\d+$/, '')
  return isLoopback(host) && isLoopback((socket.remoteAddress ?? '').replace(/^::ffff:/, ''))
}

function sameText(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)]
  return first.length === second.length && timingSafeEqual(first, second)
}
