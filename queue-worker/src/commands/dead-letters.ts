/** `dead-letters`: list them, send them back, or discard them. */
import type { Queue } from '../queue/contract.ts'
import { type Part, type Survey, survey, type Taken, takeLetters } from '../queue/letter-bites.ts'
import type { DeadLetter } from '../queue/operator.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { age } from '../utils/duration.ts'
import { caller } from './caller.ts'
import { EXIT, type ExitCode, type Io, UsageError } from './io.ts'
import { hasChoice, type LetterFlags, toFilter } from './letter-flags.ts'
import { table } from './table.ts'
import { about, withQueue } from './with-queue.ts'

const ERROR_WIDTH = 80

export async function listLetters(
  io: Io,
  name: string,
  ids: readonly string[],
  flags: LetterFlags,
): Promise<ExitCode> {
  return withQueue(io, (queue) =>
    about(queue, name, async () => {
      const filter = toFilter(ids, flags)
      const counted = await survey(queue, name, filter)
      const letters: DeadLetter[] = []
      await takeLetters(counted, howMany(counted, ids, flags), async (part) => {
        const page = await queue.deadLetters(name, { ...filter, ...part, withMessages: flags.json ?? false })
        letters.push(...page)
        return { count: page.length, lastId: page.at(-1)?.msgId ?? null }
      })
      if (flags.json) io.out(JSON.stringify(letters))
      else io.out(describe(name, letters, counted, Date.now()))
      return EXIT.ok
    }),
  )
}

export async function redriveLetters(
  io: Io,
  name: string,
  ids: readonly string[],
  flags: LetterFlags & { rate?: number; forgetUncertain?: boolean },
): Promise<ExitCode> {
  return change(io, name, ids, flags, async ({ queue, counted, take }) => {
    const { rate, forgetUncertain } = flags
    const begun = performance.now()
    const messages: { deadMsgId: string; msgId: string }[] = []
    await take(async (part) => {
      // Delays grow over all bites: the database holds the pace, and nobody has to stay for it.
      const delaySeconds =
        rate === undefined
          ? undefined
          : Math.max(0, messages.length / rate - (performance.now() - begun) / 1000)
      const options = { forgetUncertain, perSecond: rate, delaySeconds, by: caller() }
      const bite = await queue.redrive(name, { ...toFilter(ids, flags), ...part, ...options })
      messages.push(...bite)
      return { count: bite.length, lastId: bite.at(-1)?.deadMsgId ?? null }
    })
    const last =
      rate === undefined
        ? ''
        : `; the last one becomes visible in ${age(Math.max(0, messages.length - 1) / rate)}`
    if (flags.json) io.out(JSON.stringify({ queue: name, redriven: messages.length, messages }))
    else io.out(`redriven: ${letters(messages.length)} of ${name}${last}${rest(counted, messages.length)}`)
  })
}

export async function discardLetters(
  io: Io,
  name: string,
  ids: readonly string[],
  flags: LetterFlags & { yes?: boolean },
): Promise<ExitCode> {
  if (!hasChoice(ids, flags) && !flags.all) {
    throw new UsageError('say which: ids, --reason, --error, --since, --before, or --all for every one')
  }
  if (!flags.yes && !flags.dryRun && io.ask === undefined) {
    throw new UsageError('discarding is for good: add --yes where nobody can be asked')
  }
  return change(io, name, ids, flags, async ({ queue, counted, wanted, take }) => {
    if (!flags.yes && wanted > 0) {
      const answer = await io.ask?.(
        `Discard ${letters(wanted)} of ${name} for good${byReason(counted, wanted)}? Type yes: `,
      )
      if (answer?.trim().toLowerCase() !== 'yes') return void io.out('nothing was discarded')
    }
    const discarded = await take(async (part) => {
      const filter = { ...toFilter(ids, flags), ...part, all: flags.all, by: caller() }
      const bite = await queue.discardDeadLetters(name, filter)
      return { count: bite.discarded, lastId: bite.lastId }
    })
    if (flags.json) io.out(JSON.stringify({ queue: name, discarded }))
    else io.out(`discarded: ${letters(discarded)} of ${name}${rest(counted, discarded)}`)
  })
}

/** What a command has to change letters with. */
type Changing = {
  readonly queue: Queue
  readonly counted: Survey
  readonly wanted: number
  /** Goes through them bite by bite, and tells how far it came; returns how many were taken. */
  take(one: (part: Part) => Promise<Taken>): Promise<number>
}

/** What redrive and discard have in common: counting first, a dry run, progress, Ctrl-C between two bites. */
async function change(
  io: Io,
  name: string,
  ids: readonly string[],
  flags: LetterFlags,
  run: (changing: Changing) => Promise<void>,
): Promise<ExitCode> {
  let interrupted = false
  const stop = () => {
    interrupted = true
  }
  await withQueue(io, (queue) =>
    about(queue, name, async () => {
      const counted = await survey(queue, name, toFilter(ids, flags))
      const wanted = howMany(counted, ids, flags)
      if (flags.dryRun) {
        const told = {
          queue: name,
          dryRun: true,
          letters: wanted,
          fitting: counted.letters,
          reasons: counted.reasons,
        }
        if (flags.json) io.out(JSON.stringify(told))
        else io.out(`dry run, nothing was changed: ${letters(wanted)} of ${name}${byReason(counted, wanted)}`)
        return
      }
      const goOn = (done: number) => {
        if (done === 0) io.onStop(stop)
        else if (!interrupted) io.err(`${done} of ${wanted} …`)
        return !interrupted
      }
      await run({ queue, counted, wanted, take: (one) => takeLetters(counted, wanted, one, goOn) })
    }),
  )
  return interrupted ? EXIT.failed : EXIT.ok
}

function howMany({ letters }: Survey, ids: readonly string[], { all, limit }: LetterFlags): number {
  if (all && limit !== undefined) throw new UsageError('give either --limit or --all, not both')
  return all ? letters : Math.min(letters, limit ?? (ids.length > 0 ? ids.length : 100))
}

function describe(name: string, found: readonly DeadLetter[], counted: Survey, nowMs: number): string {
  if (found.length === 0) return `no dead letter of ${name} fits`
  const rows = found.map((one) => [
    one.msgId,
    one.deadAt === '' ? '' : `${age(Math.max(0, (nowMs - Date.parse(one.deadAt)) / 1000))} ago`,
    one.reason,
    String(one.attempts),
    String(one.deliveries),
    cleanReply(one.error ?? '', ERROR_WIDTH),
  ])
  const text = table(['id', 'died', 'reason', 'failures', 'deliveries', 'error'], rows, [0, 3, 4])
  return `${text}\n\n${letters(counted.letters)}${byReason(counted, counted.letters)}${rest(counted, found.length)}`
}

/** Only what `--all` or a larger `--limit` would have taken. */
const rest = (counted: Survey, done: number) =>
  counted.letters > done ? `; ${counted.letters - done} more fit (--all)` : ''

const letters = (count: number) => `${count} dead letter${count === 1 ? '' : 's'}`

function byReason({ letters, reasons }: Survey, wanted: number): string {
  const parts = Object.entries(reasons).map(([reason, count]) => `${cleanReply(reason, 40)} ${count}`)
  if (letters === 0) return ''
  return ` (${wanted < letters ? `the oldest of ${letters}: ` : ''}${parts.join(', ')})`
}
