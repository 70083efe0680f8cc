/** Closed: nobody has said who may. */
import type { Access } from '../visitor.ts'
import { refuse } from './refuse.ts'
import { HOW_TO_OPEN } from './settings.ts'

export function closedAccess(): Access {
  return {
    async admit(request, response, base) {
      return refuse(
        { request, response, base, at: '/' },
        { status: 403, message: 'The dashboard of this worker is closed.', remedy: HOW_TO_OPEN },
      )
    },
    isOurs: () => false,
  }
}
