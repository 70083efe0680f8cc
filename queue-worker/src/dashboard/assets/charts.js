// Charts over time, drawn by uPlot from what the dashboard answers as columns. Each has its numbers as a table too, and can be read
// with the arrow keys.

const SLOWEST_REFRESH_MS = 60_000

/** What each chart shows. `of` takes the columns; a series that is null throughout is not known, and left out. */
const KINDS = {
  throughput: {
    write: rate,
    series: [
      { name: 'in', colour: '--in', of: (data) => perMinute(data.sent, data.step) },
      { name: 'out', colour: '--out', fill: true, of: (data) => perMinute(data.succeeded, data.step) },
    ],
  },
  trouble: {
    write: count,
    bars: true,
    // One stands on the other: what is drawn first is the sum.
    series: [
      {
        name: 'tried again',
        colour: '--again',
        fill: true,
        of: (data) => data.failed,
        on: (data) => data.dead,
      },
      { name: 'dead', colour: '--dead', fill: true, of: (data) => data.dead },
    ],
  },
  run: {
    write: span,
    gaps: true,
    series: [
      { name: 'longest', colour: '--max', of: (data) => data.ranMsMax, dash: [3, 3] },
      { name: 'mean', colour: '--out', fill: true, of: (data) => data.ranMs },
    ],
  },
  wait: {
    write: span,
    gaps: true,
    series: [
      { name: 'longest', colour: '--max', of: (data) => data.waitedMsMax, dash: [3, 3] },
      { name: 'mean', colour: '--out', fill: true, of: (data) => data.waitedMs },
    ],
  },
}

function perMinute(column, step) {
  return column.map((value) => (value === null ? null : (value * 60) / step))
}
function count(value) {
  return Math.abs(value) >= 1e4
    ? new Intl.NumberFormat('en-US', { notation: 'compact' }).format(value)
    : Math.round(value).toLocaleString('en-US')
}
function rate(value) {
  return value > 0 && value < 10 ? value.toFixed(1) : count(value)
}
function span(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 100_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
  if (ms < 6_000_000) return `${Math.round(ms / 60_000)} min`
  return `${Math.round(ms / 3_600_000)} h`
}

const times = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const days = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const moments = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})

/** What the page shows now. */
let drawn = null

async function draw(place) {
  const from = place.dataset.history
  const response = await fetch(from, { headers: { accept: 'application/json' } }).catch(() => null)
  if (place.dataset.history !== from || !response?.ok) return
  const data = await response.json()
  for (const chart of drawn?.charts ?? []) chart?.destroy()
  drawn = { place, from, data, charts: [], at: performance.now() }
  for (const figure of place.querySelectorAll('[data-chart]')) drawn.charts.push(drawChart(figure, data))
  place.dataset.drawn = String(data.at.at(-1))
}

/** Colours are named in the styles, for light and dark: an element that has one tells which it is now. */
function resolved(name) {
  const probe = document.createElement('i')
  probe.className = `key probe${name}`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

function drawChart(figure, data) {
  const { write, bars = false, gaps = false, series } = KINDS[figure.dataset.chart]
  const known = series
    .map((one) => ({ ...one, values: one.of(data) }))
    .filter(({ values }) => values.some((value) => value !== null))
  const plot = figure.querySelector('.plot')
  const columns = [
    data.at,
    ...known.map(({ values, on }) => (on ? values.map((value, index) => value + on(data)[index]) : values)),
  ]
  const isEmpty = known.every(({ values }) => values.every((value) => !value))
  const most = Math.max(
    0,
    ...columns
      .slice(1)
      .flat()
      .filter((value) => value !== null),
  )
  const line = resolved('--line')
  const soft = resolved('--soft')
  const legend = (index) => tellAt(figure, data, known, write, index)
  const paths = bars
    ? uPlot.paths.bars({ size: [0.8, 40], align: 1 })
    : gaps
      ? uPlot.paths.linear()
      : uPlot.paths.stepped({ align: 1 })
  const axis = {
    stroke: soft,
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  plot.replaceChildren()
  plot.classList.toggle('empty-plot', isEmpty)
  const details = figure.querySelector('details')
  // Many rows that nobody may ever open.
  details.ontoggle = () => details.open && fillTable(details, data, known, write)
  details.ontoggle()
  if (isEmpty) {
    plot.textContent = 'Nothing in this period'
    figure.querySelector('.legend').replaceChildren()
    return null
  }
  const chart = new uPlot(
    {
      width: plot.clientWidth || 300,
      height: 130,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { range: [data.at[0], data.at.at(-1) + data.step] }, y: { range: [0, most * 1.1 || 1] } },
      padding: [8, 8, 0, 0],
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 22,
          space: 70,
          values: (_, splits) => splits.map((at) => tick(at, data)),
        },
        {
          ...axis,
          size: 52,
          gap: 4,
          space: 34,
          values: (_, splits) => splits.map((value) => (value % 1 && write === count ? '' : write(value))),
        },
      ],
      series: [
        {},
        ...known.map(({ name, colour: which, fill = false, dash }) => {
          const stroke = resolved(which)
          return {
            label: name,
            stroke,
            width: 1.5,
            paths,
            ...(dash ? { dash } : {}),
            ...(fill ? { fill: bars ? stroke : faded(stroke) } : {}),
          }
        }),
      ],
      hooks: { setCursor: [({ cursor }) => legend(cursor.idx ?? null)] },
    },
    columns,
    plot,
  )
  // A picture to those who do not see it: the table has its numbers.
  const canvas = plot.querySelector('canvas')
  canvas.setAttribute('aria-hidden', 'true')
  listen(figure, chart, data)
  legend(null)
  return chart
}

function faded(stroke) {
  return stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.16)')
}

function tick(at, data) {
  const date = new Date(at * 1000)
  return data.at.at(-1) - data.at[0] > 2 * 86_400 ? days.format(date) : times.format(date)
}

/** What the line below a chart says: of one step, or of the whole period. */
function tellAt(figure, data, known, write, index) {
  const legend = figure.querySelector('.legend')
  const entry = ({ name, colour: which, values }) => {
    const told = values.filter((value) => value !== null)
    const most = told.length > 0 ? Math.max(...told) : null
    const value = index === null ? most : values[index]
    const item = document.createElement('span')
    const key = document.createElement('i')
    key.className = `key probe${which}`
    item.append(key, `${name} ${value === null ? '–' : `${index === null ? 'max ' : ''}${write(value)}`}`)
    return item
  }
  const when = document.createElement('span')
  when.className = 'when'
  when.textContent = index === null ? '' : moments.format(new Date(data.at[index] * 1000))
  legend.replaceChildren(...known.map(entry), when)
}

/** With the keyboard: the arrows walk through the steps, and the line below says what is there. */
function listen(figure, chart, data) {
  const plot = figure.querySelector('.plot')
  const title = figure.querySelector('figcaption').textContent.trim()
  plot.tabIndex = 0
  plot.setAttribute('role', 'group')
  plot.setAttribute(
    'aria-label',
    `${title}: a chart. The arrow keys walk through it; below it are its numbers as a table.`,
  )
  const legend = figure.querySelector('.legend')
  plot.onkeydown = (event) => {
    const last = data.at.length - 1
    const here = chart.cursor.idx ?? (event.key === 'ArrowRight' ? -1 : last + 1)
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key]
    if (to === undefined) return
    event.preventDefault()
    legend.setAttribute('aria-live', 'polite')
    const index = Math.min(last, Math.max(0, to))
    chart.setCursor({ left: chart.valToPos(data.at[index], 'x'), top: 10 })
  }
  plot.onblur = () => {
    legend.removeAttribute('aria-live')
    chart.setCursor({ left: -10, top: -10 })
  }
}

function fillTable(details, data, known, write) {
  const table = document.createElement('table')
  const row = (cells, tag) => {
    const line = document.createElement('tr')
    cells.forEach((cell, index) => {
      const box = document.createElement(index === 0 ? 'th' : tag)
      if (index === 0 || tag === 'th') box.scope = tag === 'th' ? 'col' : 'row'
      if (index > 0) box.className = 'n'
      box.textContent = cell
      line.append(box)
    })
    return line
  }
  const head = document.createElement('thead')
  head.append(row(['From', ...known.map(({ name }) => name)], 'th'))
  const body = document.createElement('tbody')
  data.at.forEach((at, index) => {
    const values = known.map(({ values }) => values[index])
    if (values.some((value) => value))
      body.append(
        row(
          [
            moments.format(new Date(at * 1000)),
            ...values.map((value) => (value === null ? '–' : write(value))),
          ],
          'td',
        ),
      )
  })
  table.append(head, body)
  details
    .querySelector('div')
    .replaceChildren(body.childElementCount > 0 ? table : 'Nothing happened in this period.')
}

/** Draws what is there, or draws it again: not more often than its steps are worth. */
function look(force = false) {
  const place = document.getElementById('charts')
  if (place === null || document.hidden) return
  const isOther = drawn?.place !== place || drawn.from !== place.dataset.history
  const isOld = !isOther && performance.now() - drawn.at > Math.min(SLOWEST_REFRESH_MS, drawn.data.step * 250)
  if (force || isOther || isOld) void draw(place)
}

function resize() {
  for (const chart of drawn?.charts ?? []) {
    const width = chart?.root.parentElement?.clientWidth
    if (width) chart.setSize({ width, height: chart.height })
  }
}

/** Colours are the theme's. */
function redraw() {
  if (drawn === null) return
  const { place, data, charts } = drawn
  for (const chart of charts) chart?.destroy()
  drawn.charts = [...place.querySelectorAll('[data-chart]')].map((figure) => drawChart(figure, data))
}

addEventListener('resize', resize)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
document.addEventListener('htmx:afterSwap', () => look())
look()
