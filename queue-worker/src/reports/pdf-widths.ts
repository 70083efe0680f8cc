/** How wide the columns of the table become. Pure. */

const NARROWEST = 34

/** Gives every column its natural width where there is room; else takes from the wide texts first. */
export function fitWidths(
  natural: readonly number[],
  isFixed: readonly boolean[],
  available: number,
): number[] {
  const total = natural.reduce((sum, width) => sum + width, 0)
  if (total <= available) {
    // A little air, but a table of two short columns need not be as wide as the page.
    const air = Math.min(2.2, available / total)
    return natural.map((width) => width * air)
  }
  const fixed = natural.reduce((sum, width, at) => sum + (isFixed[at] ? width : 0), 0)
  const room = available - fixed
  const flexible = natural.flatMap((width, at) => (isFixed[at] ? [] : [width]))
  const isEnough = flexible.length > 0 && room >= flexible.length * NARROWEST * 1.5
  if (!isEnough) {
    // The widest give way here too: a short number broken into two lines would be read as two.
    const most = levelFor(natural, available)
    return natural.map((width) => Math.min(width, most))
  }
  const limit = levelFor(flexible, room)
  return natural.map((width, at) => (isFixed[at] ? width : Math.min(width, limit)))
}

/** The width to which the wider ones are cut, so that all together take the room there is. */
function levelFor(widths: readonly number[], room: number): number {
  let left = room
  const sorted = [...widths].sort((a, b) => a - b)
  for (const [at, width] of sorted.entries()) {
    const share = left / (sorted.length - at)
    if (width > share) return share
    left -= width
  }
  return sorted.at(-1) ?? room
}
