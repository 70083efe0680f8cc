/** What the variables say about callbacks over HTTP. */
import type { Gathered } from './gather.ts'
import type { Config } from './types.ts'

/**
 * Callbacks are on when one of their settings is set, also one of the queue's own (`HTTP_CALLBACKS_CONCURRENCY`), or when
 * QUEUES names them: a worker never begins to call other machines because of an upgrade.
 */
export function callbackSettings(
  { values, givenAs }: Gathered,
  overrides: Config['overrides'],
): Config['callbacks'] {
  return {
    isWanted:
      [...givenAs.keys()].some((name) => name.startsWith('HTTP_CALLBACKS_')) ||
      overrides.HTTP_CALLBACKS !== undefined ||
      values.QUEUES?.includes('http_callbacks') === true,
    secrets: values.HTTP_CALLBACKS_SECRET ?? [],
    allowPrivate: values.HTTP_CALLBACKS_ALLOW_PRIVATE ?? [],
    ports: values.HTTP_CALLBACKS_PORTS,
    methods: values.HTTP_CALLBACKS_METHODS,
    headers: values.HTTP_CALLBACKS_HEADERS,
    caFile: values.HTTP_CALLBACKS_CA_FILE,
  }
}
