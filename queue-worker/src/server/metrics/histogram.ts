/** Counts how long things took, by fixed bounds; what Prometheus calls a histogram. */

export type Histogram = {
  observe(seconds: number): void
  /** `counts` has one more than `bounds`, for what is longer than the last; each counts its own range alone. */
  read(): HistogramNumbers
}

export type HistogramNumbers = {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly count: number
  readonly sum: number
}

/** `bounds` in seconds, ascending. This is done for every message: nothing here but an addition or two. */
export function createHistogram(bounds: readonly number[]): Histogram {
  const counts = new Float64Array(bounds.length + 1)
  let sum = 0

  return {
    observe(seconds) {
      let place = 0
      while (seconds > (bounds[place] ?? Number.POSITIVE_INFINITY)) place += 1
      counts[place] = (counts[place] ?? 0) + 1
      sum += seconds
    },
    read: () => ({ bounds, counts: [...counts], count: counts.reduce((all, one) => all + one, 0), sum }),
  }
}
