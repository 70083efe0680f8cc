/** How numbers, spans and moments are written: always the same width for the same kind, so that nothing jumps. */
import { type Html, html } from './html.ts'

/** 1,234,567; an estimate as ~1,230,000. */
export function count(value: number, isEstimate = false): string {
  const shown = isEstimate ? Math.round(value / 1000) * 1000 : value
  return `${isEstimate ? '~' : ''}${shown.toLocaleString('en-US')}`
}

/** "3 s", "4 min", "2 h", "5 d". */
export function span(seconds: number): string {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`
  if (seconds < 100) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** "1.3 MB". */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`
  if (value < 1e6) return `${(value / 1000).toFixed(1)} kB`
  return `${(value / 1e6).toFixed(1)} MB`
}

/** A moment, in UTC as it is written; the page's script tells it in the time zone of who looks. */
export function moment(iso: string | null | undefined): Html {
  if (!iso) return html`<span class="none">–</span>`
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return html`${iso}`
  const text = at.toISOString()
  return html`<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')} UTC</time>`
}

/** How long ago, with the moment behind it. */
export function ago(iso: string | null | undefined, now: Date): Html {
  if (!iso) return html`<span class="none">–</span>`
  const seconds = (now.getTime() - new Date(iso).getTime()) / 1000
  const text = Math.abs(seconds) < 1 ? 'now' : seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`
  return html`<time datetime="${new Date(iso).toISOString()}" data-relative>${text}</time>`
}

/** A share as "0.3 %"; a dash where there was nothing. */
export function share(part: number, whole: number): string {
  if (whole === 0) return '–'
  const percent = (100 * part) / whole
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}
