/** The commands of whoever is on call: looking at queues and messages, dead letters, pausing. */
import { type Command, Option } from 'commander'
import { discardLetters, listLetters, redriveLetters } from '../commands/dead-letters.ts'
import { inspect } from '../commands/inspect.ts'
import type { ExitCode, Io } from '../commands/io.ts'
import type { LetterFlags } from '../commands/letter-flags.ts'
import { limit } from '../commands/limit.ts'
import { setPaused } from '../commands/pause.ts'
import { prune } from '../commands/prune.ts'
import { queues } from '../commands/queues.ts'
import type { RateLimit } from '../utils/rate-limit.ts'
import { between, messageId, messageIds, past, queueName, rate, rateLimit } from './arguments.ts'

type Ends = (result: Promise<ExitCode>) => Promise<void>
type Flags = { all?: boolean; json?: boolean }

const REASONS = ['invalid_payload', 'unrecoverable', 'attempts_exhausted', 'interruptions_exhausted']
const JSON_OPTION = ['--json', 'print the result as JSON'] as const

export function addOperatorCommands(program: Command, io: Io, ends: Ends): void {
  const command = (name: string, about: string) => program.command(name).description(about)
  command('queues', 'show how many messages of each queue are ready, in flight, dead, and who works on them')
    .option('--watch', 'keep showing')
    .option(...JSON_OPTION)
    .action((flags: { watch?: boolean; json?: boolean }) => ends(queues(io, flags)))
  command('inspect', 'show all that is known of one message, with its payload')
    .argument('<queue>', 'its queue; or <queue>_dlq, for a dead letter by its own id')
    .argument('<msg_id>', 'its id there', messageId)
    .option(...JSON_OPTION)
    .action((queue: string, id: string, flags: Flags) => ends(inspect(io, queue, id, flags)))
  for (const [name, about, paused] of [
    ['pause', 'stop all workers from reading a queue; what is in flight finishes, sends go on', true],
    ['resume', 'let all workers read a queue again; also one whose breaker is open', false],
  ] as const) {
    command(name, about)
      .argument('[queue]', 'its name')
      .option('--all', 'every queue')
      .option(...JSON_OPTION)
      .action((queue: string | undefined, flags: Flags) => ends(setPaused(io, queue, { ...flags, paused })))
  }
  command('limit', 'give out at most so many messages of a queue in any period, over all workers')
    .argument('<queue>', 'its name')
    .argument('<rate>', '100/1m, 5000/1d, or off', rateLimit)
    .action((queue: string, limits: RateLimit | null) => ends(limit(io, queue, limits)))
  command(
    'prune',
    'delete records, and archived messages where that is set, that are older than they are kept for',
  )
    .option(
      '--days <count>',
      'keep records this long (default: RETENTION_DAYS); 0: for ever',
      between(0, 36_500),
    )
    .option(...JSON_OPTION)
    .action((flags: { days?: number; json?: boolean }) => ends(prune(io, flags)))
  addDeadLetterCommands(
    command('dead-letters', 'messages that were given up: list, redrive or discard them'),
    io,
    ends,
  )
}

function addDeadLetterCommands(group: Command, io: Io, ends: Ends): void {
  const command = (name: string, about: string) =>
    group
      .command(name)
      .description(about)
      .argument('<queue>', 'the queue they died in', queueName)
      .argument('[ids...]', 'only these (ids as `list` shows them)', messageIds)
      .addOption(new Option('--reason <reason>', 'only those that died of this').choices(REASONS))
      .option('--error <text>', 'only those whose error has this in it')
      .option('--since <time>', 'only those that died since: 2h ago, or 2026-12-01T09:00:00Z', past)
      .option('--before <time>', 'only those that died before', past)
      .option('--limit <count>', 'at most so many, the oldest first (default: 100)', between(1, 10_000_000))
      .option('--all', 'all that fit')
      .option(...JSON_OPTION)
  command('list', 'show them, oldest first, with reason and error').action(
    (queue: string, ids: readonly string[], flags: LetterFlags) => ends(listLetters(io, queue, ids, flags)),
  )
  command('redrive', 'send them back to their queue; they keep their origin keys')
    .option(
      '--rate <rate>',
      'one by one: 50/s, 10/m. Each is delayed by its place, so nothing has to keep running',
      rate,
    )
    .option('--forget-uncertain', 'let steps whose end is not known run again')
    .option('--dry-run', 'only tell how many')
    .action(
      (
        queue: string,
        ids: readonly string[],
        flags: LetterFlags & { rate?: number; forgetUncertain?: boolean },
      ) => ends(redriveLetters(io, queue, ids, flags)),
    )
  command('discard', 'delete them for good; asks first')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only tell how many')
    .action((queue: string, ids: readonly string[], flags: LetterFlags & { yes?: boolean }) =>
      ends(discardLetters(io, queue, ids, flags)),
    )
}
