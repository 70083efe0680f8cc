/**
 * Aborts `controller` when `signal` does, after a grace time that is asked for at that moment, in milliseconds.
 * Gives a function that stops following; call it when the work is done.
 */
export function followAbort(
  controller: AbortController,
  signal: AbortSignal | undefined,
  graceMs: () => number,
): () => void {
  let timer: NodeJS.Timeout | undefined
  const onAbort = () => {
    const waitMs = graceMs()
    if (waitMs > 0) timer = setTimeout(() => controller.abort(signal?.reason), waitMs)
    else controller.abort(signal?.reason)
  }
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
