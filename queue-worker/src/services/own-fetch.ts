/**
 * fetch with connections of its own, which can be closed. Those of the global one stay open for as long as the server likes, and
 * belong to everybody in the process.
 */

type Dispatcher = NonNullable<RequestInit['dispatcher']>

export type OwnFetch = {
  readonly fetch: typeof fetch
  /** Closes its connections; what is under way fails. */
  close(): Promise<void>
}

/** Connects with the first request. */
export function openFetch(): OwnFetch {
  let own: Dispatcher | undefined
  return {
    fetch(input, init) {
      own ??= openDispatcher()
      return fetch(input, own === undefined ? init : { ...init, dispatcher: own })
    },
    close: async () => own?.destroy(),
  }
}

/**
 * One more of the kind that fetch uses, so that proxies of the environment are obeyed alike. Node hands out the class in no other way.
 * Undefined where somebody has put something of their own in its place, or it is not there: then fetch's is used.
 */
function openDispatcher(): Dispatcher | undefined {
  void Headers // loads what is loaded late
  const shared: unknown = Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1'))
  const made = typeof shared === 'object' && shared !== null ? shared.constructor : undefined
  if (made === undefined || !['Agent', 'EnvHttpProxyAgent'].includes(made.name)) return undefined
  return Reflect.construct(made, []) as Dispatcher
}
