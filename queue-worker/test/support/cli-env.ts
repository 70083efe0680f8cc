/** Environments for commands: how to reach a stack, and processors in a folder. */
import type { SharedStack } from './global-stack.ts'

export type Kind = 'rpc' | 'postgres'
export const KINDS: readonly Kind[] = ['rpc', 'postgres']

/** The least that leads to the stack; no health endpoint, so that tests do not fight for its port. */
export function connectionEnv(
  kind: Kind,
  stack: Pick<SharedStack, 'url' | 'secretKey' | 'databaseUrl'>,
): Record<string, string> {
  const lead =
    kind === 'rpc'
      ? { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey }
      : { DATABASE_URL: stack.databaseUrl }
  return { ...lead, PORT: 'off', WORKER_POLL_INTERVAL_MS: '200' }
}

/** The code of a module with a processor; `body` sees `payload`, `context` and what our library exports. */
export function processorCode(queue: string, body: string, more = ''): string {
  return `import { z } from 'zod'
import { defineProcessor, OutageError, RetryAfterError, snooze, UnrecoverableError } from '#library'
void [OutageError, RetryAfterError, snooze, UnrecoverableError]
export default defineProcessor({
  queue: '${queue}',
  payload: z.looseObject({}),
  ${more}
  async process(payload, context) {
    ${body}
  },
})
`
}
