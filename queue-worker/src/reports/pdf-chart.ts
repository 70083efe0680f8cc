/** Draws a chart of bars or lines. */
import { axisLabels, type ChartData, ticks } from './chart-data.ts'
import type { Chart } from './job.ts'
import { COLOURS, type Doc, line, SERIES } from './pdf-page.ts'

type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
type Plot = Box & { readonly top: number; readonly bottom: number }

const AXIS = 44
const LABELS = 16
const LEGEND = 18

export function drawChart(doc: Doc, kind: Chart['kind'], data: ChartData, box: Box): void {
  const scale = ticks(data.series.flatMap(({ values }) => values))
  const plot: Plot = {
    x: box.x + AXIS,
    y: box.y + LEGEND,
    width: box.width - AXIS,
    height: box.height - LEGEND - LABELS,
    top: scale.at(-1) ?? 1,
    bottom: scale[0] ?? 0,
  }
  const height = (value: number) =>
    plot.y + plot.height * (1 - (value - plot.bottom) / (plot.top - plot.bottom || 1))
  drawLegend(doc, data, box)
  doc.font('plain').fontSize(7)
  const labels = axisLabels(scale)
  for (const [at, tick] of scale.entries()) {
    const y = height(tick)
    doc.moveTo(plot.x, y).lineTo(plot.x + plot.width, y)
    doc.lineWidth(tick === 0 ? 0.8 : 0.4).stroke(tick === 0 ? COLOURS.rule : COLOURS.line)
    doc.fillColor(COLOURS.quiet)
    line(doc, labels[at] ?? '', box.x, y - 4, AXIS - 6, 'right')
  }
  if (kind === 'bar') drawBars(doc, data, plot, height)
  else drawLines(doc, data, plot, height)
  drawLabels(doc, data.labels, plot)
}

function drawLegend(doc: Doc, { series }: ChartData, { x, y }: Box): void {
  doc.font('plain').fontSize(8)
  let at = x + AXIS
  for (const [index, { name }] of series.entries()) {
    doc.rect(at, y + 1, 7, 7).fill(colourOf(index))
    doc.fillColor(COLOURS.text)
    doc.text(name, at + 11, y, { lineBreak: false })
    at += doc.widthOfString(name) + 28
  }
}

function drawBars(
  doc: Doc,
  { labels, series }: ChartData,
  plot: Plot,
  height: (value: number) => number,
): void {
  const slot = plot.width / Math.max(1, labels.length)
  const bar = Math.min(26, (slot * 0.76) / Math.max(1, series.length))
  for (const [index, { values }] of series.entries()) {
    for (const [at, value] of values.entries()) {
      const left = plot.x + slot * (at + 0.5) - (bar * series.length) / 2 + bar * index
      const [from, to] = [height(0), height(value)]
      if (from !== to)
        doc
          .rect(left, Math.min(from, to), Math.max(0.3, bar * 0.94), Math.abs(from - to))
          .fill(colourOf(index))
    }
  }
}

function drawLines(
  doc: Doc,
  { labels, series }: ChartData,
  plot: Plot,
  height: (value: number) => number,
): void {
  const slot = plot.width / Math.max(1, labels.length)
  for (const [index, { values }] of series.entries()) {
    const points = values.map((value, at) => [plot.x + slot * (at + 0.5), height(value)] as const)
    for (const [at, [x, y]] of points.entries()) at === 0 ? doc.moveTo(x, y) : doc.lineTo(x, y)
    doc.lineWidth(1.4).lineJoin('round').stroke(colourOf(index))
    if (points.length <= 60) for (const [x, y] of points) doc.circle(x, y, 1.7).fill(colourOf(index))
  }
}

/** As many labels as have room, evenly chosen. */
function drawLabels(doc: Doc, labels: readonly string[], plot: Plot): void {
  doc.font('plain').fontSize(7).fillColor(COLOURS.quiet)
  const slot = plot.width / Math.max(1, labels.length)
  const widest =
    Math.min(90, Math.max(1, ...labels.slice(0, 500).map((label) => doc.widthOfString(label)))) + 6
  const every = Math.max(1, Math.ceil(widest / slot))
  for (let at = 0; at < labels.length; at += every) {
    const centre = plot.x + slot * (at + 0.5)
    // It would stand in the margin.
    if (centre + widest / 2 > plot.x + plot.width + 1) break
    const room = Math.max(widest, slot)
    line(doc, labels[at] ?? '', centre - room / 2, plot.y + plot.height + 5, room, 'center')
  }
}

function colourOf(index: number): string {
  return SERIES[index % SERIES.length] ?? COLOURS.text
}
