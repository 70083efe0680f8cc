/** `inspect`: all that is known of one message, its payload among it. */
import type { Delivery, Inspected, Step } from '../queue/operator.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { age } from '../utils/duration.ts'
import { printable } from '../utils/printable.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { table } from './table.ts'
import { about, withQueue } from './with-queue.ts'

const RESULT_WIDTH = 80

type Known = Exclude<Inspected, { state: 'unknown' }>

export async function inspect(
  io: Io,
  name: string,
  msgId: string,
  options: { json?: boolean },
): Promise<ExitCode> {
  const found = await withQueue(io, (queue) => about(queue, name, () => queue.inspect(name, msgId)))
  io.out(options.json ? JSON.stringify(found) : describe(found, Date.now()))
  return found.state === 'unknown' ? EXIT.failed : EXIT.ok
}

function describe(found: Inspected, nowMs: number): string {
  if (found.state === 'unknown') {
    return `Nothing is known of message ${found.msgId} of ${found.queue}: it never was, or it was deleted without a trace, as a queue does that deletes what succeeded.`
  }
  const ago = (at: string) => `${at} (${age(Math.max(0, (nowMs - Date.parse(at)) / 1000))} ago)`
  const facts: [string, string | null][] = [
    ['enqueued', ago(found.enqueuedAt)],
    ['origin key', found.originKey],
    ['sent with key', found.sentWithKey],
    ['failures', String(found.failures)],
    ['reason', text(found.deadLetter?.reason)],
    ['error', text(found.deadLetter?.error)],
    ['headers', found.headers === null ? null : JSON.stringify(found.headers)],
  ]
  return [
    `message ${found.msgId} of ${found.queue}: ${where(found, ago)}\n`,
    ...facts
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name.padEnd(13)}  ${printable(value ?? '')}`),
    ...section('deliveries', found.deliveries.length === 0 ? 'none yet' : deliveries(found.deliveries)),
    ...(found.steps.length === 0 ? [] : section('steps', steps(found.steps))),
    ...section('payload', printable(JSON.stringify(found.message, null, 2))),
  ].join('\n')
}

/** Where it is now, and what will become of it. */
function where(found: Known, ago: (at: string) => string): string {
  switch (found.state) {
    case 'ready':
      return 'ready, it waits for a worker'
    case 'in_flight':
      return `in flight; it comes back at ${found.visibleAt} if its worker dies`
    case 'delayed':
      return `delayed until ${found.visibleAt}`
    case 'retrying':
      return `failed, and is tried again at ${found.visibleAt}`
    case 'archived':
      return `archived ${ago(found.archivedAt ?? '')}`
    case 'dead':
      return `dead, as letter ${found.deadMsgId} of ${found.queue}_dlq`
    case 'redriven':
      return `was dead, and was redriven as message ${found.redrivenAs}`
    case 'gone':
      return 'gone: deleted on success, discarded as a dead letter, or taken out by hand'
  }
}

const section = (title: string, body: string) => [`\n${title}`, body]

function deliveries(all: readonly Delivery[]): string {
  const rows = all.map((one) => [
    String(one.delivery),
    one.outcome,
    one.at ?? '',
    one.workerId ?? '',
    one.aloneSince === null ? '' : 'alone',
  ])
  const head = table(
    ['', 'ended', 'at', 'worker', ''],
    rows.map((row) => row.map(printable)),
    [0],
  )
  // Errors may have many lines, so they follow the table.
  const errors = all.filter(({ error }) => error !== null)
  return [
    head,
    ...errors.map((one) => `\nerror of delivery ${one.delivery}\n${printable(one.error ?? '')}`),
  ].join('\n')
}

function steps(all: readonly Step[]): string {
  const rows = all.map((one) => [
    printable(one.step),
    one.state === 'done' ? 'done' : 'started, its end is not known',
    one.doneAt ?? one.startedAt,
    one.state === 'done' ? cleanReply(JSON.stringify(one.result), RESULT_WIDTH) : '',
  ])
  return table(['step', '', 'at', 'result'], rows)
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
