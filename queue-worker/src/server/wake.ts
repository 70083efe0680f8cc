/** `/wake`: somebody put a message into a queue, and the worker may be asleep. Costs one read a second at most. */
import { answer } from './answer.ts'
import type { Bearer } from './bearer.ts'
import type { Route } from './route.ts'

export type WakeParts = {
  /** True: it was asleep. */
  readonly wake: (by: string) => boolean
  /** Null: anybody may. */
  readonly bearer: Bearer | null
}

export function createWakeRoute({ wake, bearer }: WakeParts): Route {
  return {
    path: '/wake',
    pattern: /^\/wake$/,
    methods: ['GET', 'HEAD', 'POST'],
    async handle(request, response) {
      if (bearer !== null && !bearer.admits(request, response)) return
      const wasAsleep = wake('a request for /wake')
      // Whatever body it has is not waited for.
      answer(response, 202, { status: wasAsleep ? 'waking' : 'awake' }, { connection: 'close' })
    },
  }
}
