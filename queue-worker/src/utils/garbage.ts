/**
 * Garbage collection on demand, for work that passes on much more data than it holds. By itself V8 lets short-lived texts pile
 * up where memory allows it, most of all on a busy machine.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (type: 'minor' | 'major') => void

/** Collects all garbage once for each `every` characters or bytes that have passed. One collection takes some 20 ms. */
export function garbageWatch(every: number): (passed: number) => void {
  const collect = collector()
  return onceFor(every, () => collect('major'))
}

/**
 * The same for a thread that has more to do: young garbage is collected far more often, in a millisecond, and until `end` the
 * space for it does not grow, because what it once had it keeps.
 */
export function youngGarbageWatch(every: number, youngEvery: number) {
  const collect = collector()
  const young = onceFor(youngEvery, () => collect('minor'))
  const all = onceFor(every, () => collect('major'))
  watching += 1
  growBy(1)
  return {
    passed(size: number): void {
      young(size)
      all(size)
    },
    end(): void {
      watching -= 1
      if (watching === 0) growBy(2)
    },
  }
}

/** How many are open: the growth is the whole process's. */
let watching = 0

/** V8's own factor is 2. */
function growBy(factor: 1 | 2): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

function onceFor(every: number, act: () => void): (passed: number) => void {
  let sum = 0
  return (passed) => {
    sum += passed
    if (sum < every) return
    sum = 0
    act()
  }
}

/** What passes little costs nothing. */
function collector(): Collect {
  let collect: Collect | null = null
  return (type) => {
    collect ??= exposed()
    collect(type)
  }
}

/** Known to new contexts only: the flag says so to them, and this one stays as it is. */
function exposed(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : null')
  return typeof found === 'function' ? (type) => void found({ type }) : () => {}
}
