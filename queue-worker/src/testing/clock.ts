/** The clock of a test's database. It stands still, so that nothing becomes due while nobody looks. */
import { parseSeconds } from '../utils/duration.ts'

export type Clock = {
  now(): Date
  /** "30s", "10m", "1.5h", "2d", "250ms". */
  advance(by: string): void
  /** Not back in time. */
  set(time: Date): void
}

export function createClock(start: Date): Clock {
  let nowMs = checked(start).getTime()

  function set(time: Date): void {
    if (checked(time).getTime() < nowMs) {
      throw new RangeError(`${time.toISOString()} is past: the clock shows ${new Date(nowMs).toISOString()}`)
    }
    nowMs = time.getTime()
  }

  return {
    now: () => new Date(nowMs),
    advance(by) {
      const seconds = parseSeconds(by)
      if (seconds === null)
        throw new RangeError(`"${by}" is no duration: give one like 30s, 10m, 1.5h, 2d or 250ms`)
      set(new Date(nowMs + Math.round(seconds * 1000)))
    },
    set,
  }
}

function checked(time: Date): Date {
  if (Number.isNaN(time.getTime())) throw new RangeError('the time for the clock is no valid date')
  return time
}
