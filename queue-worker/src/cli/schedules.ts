/** `queue-worker schedules …`: what its parts take. */
import { type Command, Option } from 'commander'
import type { ExitCode, Io } from '../commands/io.ts'
import { type AddFlags, addSchedule, enableSchedule, removeSchedule } from '../commands/schedule-changes.ts'
import { listSchedules, nextRuns } from '../commands/schedules.ts'
import { MISSED_POLICIES } from '../scheduler/records.ts'
import { between } from './arguments.ts'

export function addScheduleCommands(
  program: Command,
  io: Io,
  ends: (result: Promise<ExitCode>) => Promise<void>,
): void {
  const schedules = program.command('schedules').description('what is sent again and again, and when')
  const printsJson = ['--json', 'print the result as JSON'] as const
  schedules
    .command('list', { isDefault: true })
    .description('show all, what became of the last message of each, and when it runs next')
    .option(...printsJson)
    .action((flags: { json?: boolean }) => ends(listSchedules(io, flags)))
  schedules
    .command('next')
    .description('show when one runs next')
    .argument('<name>', 'its name')
    .option('--count <count>', 'how many runs', between(1, 1000), 5)
    .option(...printsJson)
    .action((name: string, flags: { count: number; json?: boolean }) => ends(nextRuns(io, name, flags)))
  schedules
    .command('add')
    .description('add one, or change the one of that name')
    .argument('<name>', 'what it is called')
    .argument(
      '<cron>',
      `when, quoted for the shell: '0 9 * * MON-FRI', or with seconds first: '*/30 * * * * *'`,
    )
    .argument('<queue>', 'where to')
    .argument('<json>', 'the message')
    .option('--timezone <zone>', 'whose clocks: Europe/Berlin', 'UTC')
    .addOption(
      new Option(
        '--missed <policy>',
        'what becomes of runs that were missed: nothing, one message for all, or all',
      )
        .choices(MISSED_POLICIES)
        .default('one'),
    )
    .option('--headers <json>', 'message headers (pgmq 1.5 and newer)')
    .option('--paused', 'pause it, or leave it paused')
    .option(...printsJson)
    .action((name: string, cron: string, queue: string, json: string, flags: AddFlags) =>
      ends(addSchedule(io, { name, cron, queue, json }, flags)),
    )
  for (const [verb, about] of [
    ['remove', 'remove one; messages that it sent stay'],
    ['pause', 'pause one; runs of the pause are not made up for'],
    ['resume', 'resume one'],
  ] as const) {
    schedules
      .command(verb)
      .description(about)
      .argument('<name>', 'its name')
      .option(...printsJson)
      .action((name: string, flags: { json?: boolean }) =>
        ends(
          verb === 'remove'
            ? removeSchedule(io, name, flags)
            : enableSchedule(io, name, verb === 'resume', flags),
        ),
      )
  }
}
