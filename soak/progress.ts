/** One line that says how far it is: refreshed on a terminal, else a new one every few seconds. */
import type { Counts } from './evidence.ts'
import type { Fault } from './plan-faults.ts'

export type Watched = {
  elapsedMs(): number
  readonly totalMs: number
  sent(): number
  /** Rejects while the database is away; then the last figures are shown. */
  counts(): Promise<Counts>
  faults(): readonly Fault[]
}

const TERMINAL_MS = 500
const LINES_MS = 5000

export function showProgress(screen: NodeJS.WriteStream, watched: Watched): { stop(): void } {
  let last: Counts = { done: 0, waiting: 0, dead: 0 }
  let isAsking = false
  function show(): void {
    if (!isAsking) {
      isAsking = true
      watched
        .counts()
        .then((counts) => {
          last = counts
        })
        .catch(() => {})
        .finally(() => {
          isAsking = false
        })
    }
    const line = progressLine(watched, last)
    screen.write(screen.isTTY ? `\r\u001b[2K${line.slice(0, screen.columns - 1)}` : `${line}\n`)
  }
  const timer = setInterval(show, screen.isTTY ? TERMINAL_MS : LINES_MS)
  return {
    stop() {
      clearInterval(timer)
      if (screen.isTTY) screen.write('\n')
    },
  }
}

export function progressLine(watched: Watched, { done, waiting, dead }: Counts): string {
  const elapsedMs = watched.elapsedMs()
  const now = watched.faults().map(({ kind, target }) => (target ? `${kind} ${target}` : kind))
  const what = elapsedMs < watched.totalMs ? now.join(', ') || 'no fault' : 'emptying the queues'
  return (
    `${(elapsedMs / 1000).toFixed(0)} of ${(watched.totalMs / 1000).toFixed(0)} s  sent ${watched.sent()}  ` +
    `processed ${done}  in queue ${waiting}  dead ${dead}  now: ${what}`
  )
}
