/** The last hour of a queue as a small picture: one bar a minute, what succeeded below, failures and dead letters above. Pure. */
import type { MinuteRow } from '../queue/dashboard.ts'
import { count } from './format.ts'
import { type Html, html } from './html.ts'

const MINUTES = 60
const HEIGHT = 24
const BAR = 2

export function sparkline(rows: readonly MinuteRow[], now: Date): Html {
  const last = Math.floor(now.getTime() / 60_000)
  const byMinute = new Map(rows.map((row) => [Math.floor(new Date(row.minute).getTime() / 60_000), row]))
  const minutes = Array.from({ length: MINUTES }, (_, index) => byMinute.get(last - MINUTES + 1 + index))
  const most = Math.max(1, ...minutes.map((row) => (row === undefined ? 0 : row.succeeded + troubles(row))))
  const succeeded = sum(rows, (row) => row.succeeded)
  const failed = sum(rows, troubles)
  const told = `the last hour: ${count(succeeded)} succeeded, ${count(failed)} failed, at most ${count(most)} in a minute`
  return html`<svg class="spark" viewBox="0 0 ${MINUTES * BAR} ${HEIGHT}" width="${MINUTES * BAR}" height="${HEIGHT}" role="img" aria-label="${told}"><title>${told}</title>${minutes.map(
    (row, index) => row !== undefined && bar(row, index * BAR, most),
  )}</svg>`
}

function bar(row: MinuteRow, x: number, most: number): Html {
  const good = tall(row.succeeded, most)
  const bad = tall(troubles(row), most)
  return html`${good > 0 && html`<rect class="ok" x="${x}" y="${HEIGHT - good}" width="${BAR - 0.5}" height="${good}"/>`}${
    bad > 0 &&
    html`<rect class="ko" x="${x}" y="${Math.max(0, HEIGHT - good - bad)}" width="${BAR - 0.5}" height="${bad}"/>`
  }`
}

/** At least a pixel for what is not nothing. */
const tall = (value: number, most: number) =>
  value === 0 ? 0 : Math.max(1, Math.round((HEIGHT * value) / most))
const troubles = ({ failed, dead }: MinuteRow) => failed + dead
const sum = (rows: readonly MinuteRow[], of: (row: MinuteRow) => number) =>
  rows.reduce((all, row) => all + of(row), 0)
