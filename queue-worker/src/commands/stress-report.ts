/** What a stress test found, as data and in words. Pure. */
import type { QueueCounts, Transport } from '../queue/contract.ts'
import type { StressFlags } from './stress.ts'
import type { Figures } from './stress-ledger.ts'

export type StressResult = ReturnType<typeof stressResult>

/** `left`: what is in the queue after the worker has stopped. */
export function stressResult(
  flags: StressFlags,
  { kind, target }: Pick<Transport, 'kind' | 'target'>,
  figures: Figures,
  left: Pick<QueueCounts, 'ready' | 'hidden'>,
  interrupted: boolean,
) {
  const { latenciesMs, sendSeconds, seconds, open, ...counts } = figures
  const inQueue = left.ready + left.hidden
  const rate = (count: number, within: number) => (within > 0 ? Math.round(count / within) : null)
  const at = (share: number) => percentile(latenciesMs, share)
  return {
    transport: kind,
    target,
    ...flags,
    ...counts,
    // More in the queue than is missing can only be copies, unless sends failed that have arrived all the same.
    doubled: counts.doubled + Math.max(0, inQueue - open - counts.failedSends),
    unfinished: Math.min(open, inQueue),
    lost: Math.max(0, open - inQueue),
    sendSeconds: rounded(sendSeconds),
    sentPerSecond: rate(counts.sent, sendSeconds),
    seconds: rounded(seconds),
    processedPerSecond: rate(counts.processed, seconds),
    latencyMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
    interrupted,
  }
}

/** The smallest value that is not below this share of all; null when there is none. `sorted` ascends. */
export function percentile(sorted: Float64Array, share: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  return value === undefined ? null : rounded(value)
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

/** Whether everything that was asked for was done, once each. */
export function isGood(result: StressResult): boolean {
  const { interrupted, lost, doubled, unfinished, dead, failedSends } = result
  return !interrupted && lost + doubled + unfinished + dead + failedSends === 0
}

export function showStress(result: StressResult): string {
  const { latencyMs, failedSends } = result
  const times = Object.entries(latencyMs).map(([name, ms]) => `${name} ${ms === null ? '-' : `${ms} ms`}`)
  const speed = (count: number, seconds: number, perSecond: number | null) =>
    perSecond === null ? grouped(count) : `${grouped(count)} in ${seconds} s, ${grouped(perSecond)}/s`
  const rows: [string, string | null][] = [
    ['sent', speed(result.sent, result.sendSeconds, result.sentPerSecond)],
    [
      'sends failed',
      failedSends === 0 ? null : `${grouped(failedSends)}; they may have arrived all the same`,
    ],
    ['processed', speed(result.processed, result.seconds, result.processedPerSecond)],
    ['send to start', times.join(', ')],
    ['retries', grouped(result.retries)],
    ['lost', grouped(result.lost)],
    ['doubled', grouped(result.doubled)],
    ['dead letters', result.dead === 0 ? null : grouped(result.dead)],
    ['not finished', result.unfinished === 0 ? null : grouped(result.unfinished)],
    [
      'holds lost',
      result.leasesLost === 0 ? null : `${grouped(result.leasesLost)}; they make messages run again`,
    ],
  ]
  const title = `${result.interrupted ? 'Interrupted. ' : ''}Over ${result.transport}, ${result.target}:`
  const lines = rows.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(14)}${value}`]))
  return [title, ...lines].join('\n')
}

/** One line while it runs. */
export function showProgress(
  counts: Pick<Figures, 'sent' | 'processed' | 'retries'>,
  messages: number,
  seconds: number,
) {
  const { sent, processed, retries } = counts
  const more = retries > 0 ? `, ${grouped(retries)} retries` : ''
  return `  ${Math.round(seconds)} s: ${grouped(sent)} of ${grouped(messages)} sent, ${grouped(processed)} processed${more}`
}

export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
