/** Calls that come fast are made at once and then once per interval; the last is never dropped. */

export type Throttle = {
  call(): void
  /** Makes the call that waits now. */
  flush(): void
  /** Drops the call that waits. */
  cancel(): void
}

export function createThrottle(run: () => void, intervalMs: number): Throttle {
  let timer: NodeJS.Timeout | undefined
  let isWanted = false

  function go(): void {
    isWanted = false
    timer = setTimeout(() => {
      timer = undefined
      if (isWanted) go()
    }, intervalMs)
    // What has been said already must not keep a process alive.
    timer.unref()
    run()
  }

  return {
    call() {
      isWanted = true
      if (timer === undefined) go()
    },
    flush() {
      if (!isWanted) return
      isWanted = false
      run()
    },
    cancel() {
      clearTimeout(timer)
      timer = undefined
      isWanted = false
    },
  }
}
