/** The command line: which commands there are, what they take, and which exit code they end with. Owner of commander. */
import { Command, CommanderError } from 'commander'
import { between, seconds } from './cli/arguments.ts'
import { addOperatorCommands } from './cli/operator.ts'
import { addScheduleCommands } from './cli/schedules.ts'
import type { DoctorFlags } from './commands/doctor.ts'
import { drain } from './commands/drain.ts'
import { EXIT, type ExitCode, type Io, reportError } from './commands/io.ts'
import { migrate } from './commands/migrate.ts'
import { scheduler } from './commands/scheduler.ts'
import { type SendFlags, send } from './commands/send.ts'
import { runStackCommand } from './commands/stack.ts'
import { type StressFlags, stress } from './commands/stress.ts'
import { work } from './commands/work.ts'
import { knownSecrets } from './config.ts'
import { createRedactor } from './utils/redact.ts'
import { packageVersion } from './version.ts'

const EXITS = `
Exit codes: 0 done; 1 it was tried and failed; 2 the command line makes no sense; 3 something must be mended first
(settings, key, migration), and the message says what.`

/** Runs one command and gives the exit code; never throws. */
export async function runCli(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok
  const program = new Command('queue-worker')
    .description('Processes the messages of pgmq queues, on Supabase or any PostgreSQL.')
    .version(packageVersion())
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      // It quotes what was typed, and that may have been a secret in the wrong place.
      writeErr: (text) => io.err(createRedactor(knownSecrets(io.cwd)).text(text.trimEnd())),
    })
    .exitOverride()
    .showHelpAfterError('(--help tells more)')
    .addHelpText('after', EXITS)

  // Some commands are loaded when they are called: a worker would pay for their libraries with its memory.
  const command = (name: string, about: string) => program.command(name).description(about)
  const ends = async (result: Promise<ExitCode>) => {
    code = await result
  }

  command(
    'start',
    'process messages, and send what schedules ask for, until told to stop; the settings come from the environment and .env',
  ).action(() => ends(work(io, { scheduler: true })))
  command(
    'worker',
    'process messages alone; for deployments that run each part as a service of its own',
  ).action(() => ends(work(io)))
  command('scheduler', 'send what schedules ask for, and process nothing, until told to stop').action(() =>
    ends(scheduler(io)),
  )
  command('dev', 'the worker for development: on the embedded stack if no connection is configured').action(
    () =>
      ends(
        work(io, {
          embedded: 'when-unset',
          allQueues: true,
          defaults: { LOG_LEVEL: 'debug' },
          scheduler: true,
        }),
      ),
  )
  command('drain', 'process until nothing is due, then exit')
    .option('--within <time>', 'also wait for what becomes due within this time', seconds, 0)
    .action(({ within }: { within: number }) => ends(drain(io, { withinSeconds: within })))
  command(
    'demo',
    'send messages to all five queues of the embedded stack, process them, and show what became of each',
  )
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) =>
      ends(import('./commands/demo.ts').then(({ demo }) => demo(io, options))),
    )
  command(
    'stack',
    'run the embedded stack alone (PostgreSQL, pgmq, PostgREST, mail) and tell how to connect',
  ).action(() => ends(runStackCommand(io)))
  command('migrate', 'put the SQL of queue-worker into the database at DATABASE_URL')
    .option(
      '--copy [directory]',
      'write the files into a migrations folder instead (default: supabase/migrations)',
    )
    .action(({ copy }: { copy?: string | true }) =>
      ends(migrate(io, copy === undefined ? {} : { copy: copy === true ? 'supabase/migrations' : copy })),
    )
  command('send', 'put a message into a queue')
    .argument('<queue>', 'its name')
    .argument('<json>', `the message, quoted for the shell: '{"to": "you@example.com", …}'`)
    .option('--delay <time>', 'hide it for this long first: 30s, 5m, 2h, 1d', seconds)
    .option('--at <time>', 'hide it until then: 2026-12-01T09:00:00Z')
    .option('--key <key>', 'idempotency key: the same key again sends nothing')
    .option('--headers <json>', 'message headers (pgmq 1.5 and newer)')
    .option('--json', 'print the result as JSON')
    .action((queue: string, json: string, flags: SendFlags) => ends(send(io, queue, json, flags)))
  addOperatorCommands(program, io, ends)
  addScheduleCommands(program, io, ends)
  command(
    'stress',
    'send many messages through this setup, in a queue of their own that is removed again, and measure',
  )
    .option('--messages <count>', 'how many', between(1, 1_000_000), 1000)
    .option('--size <bytes>', 'how long each is, as JSON', between(50, 1_000_000), 300)
    .option('--rate <count>', 'so many a second (default: as fast as possible)', between(0.01, 1e6, false))
    .option('--concurrency <count>', 'jobs at once (default: WORKER_CONCURRENCY)', between(1, 1000))
    .option('--duration-ms <time>', 'how long a job takes', between(0, 3_600_000), 0)
    .option('--fail <share>', 'the share of them that fails once', between(0, 1, false), 0.01)
    .option('--json', 'print the result as JSON')
    .action((flags: StressFlags & { json?: boolean }) => ends(stress(io, flags)))
  command('check', 'check the settings without connecting to anything')
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) =>
      ends(import('./commands/check.ts').then(({ check }) => check(io, options))),
    )
  command('doctor', 'look at everything a worker needs, tell what is wrong and how to mend it')
    .option('--fix', 'mend what is safe to mend, and tell what was done')
    .option('--strict', 'end with 1 for warnings as well as for errors')
    .option('--report [directory]', 'also write the result into a dated file (default: reports)')
    .option('--send-mail <address>', 'send a mail there, to see it arrive')
    .option('--json', 'print the result (and write the report) as JSON')
    .action((flags: DoctorFlags) =>
      ends(import('./commands/doctor.ts').then(({ doctor }) => doctor(io, flags))),
    )

  try {
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (error) {
    // commander has said already what is wrong with the command line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportError(error, io, knownSecrets(io.cwd))
  }
}
