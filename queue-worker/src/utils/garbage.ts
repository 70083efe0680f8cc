/** Garbage collection on demand, for work that passes on much more data than it holds. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | null = null

/**
 * Gives a function that is told how much has passed, in characters or bytes, and collects garbage once for each `every` of
 * them. By itself V8 lets short-lived texts pile up to hundreds of megabytes where memory allows it, most of all on a busy
 * machine. One collection takes some 20 ms.
 */
export function garbageWatch(every: number): (passed: number) => void {
  let sum = 0
  return (passed) => {
    sum += passed
    if (sum < every) return
    sum = 0
    collect ??= exposed()
    collect()
  }
}

/** Known to new contexts only: the flag says so to them, and this one stays as it is. */
function exposed(): () => void {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : null')
  return typeof found === 'function' ? () => void found() : () => {}
}
