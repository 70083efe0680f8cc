/** Runs the commands of a page that are our own, as they stand there, within this process. */
import { runCli } from '../../src/cli.ts'
import { commandsOf, ownArguments, parsed } from './doc-commands.ts'
import { whyNotRun } from './doc-not-run.ts'

type Runnable = { readonly command: string; readonly argv: readonly string[] }
export type Ran = { readonly command: string; readonly code: number; readonly said: string }

/** Those that nothing speaks against. */
export function runnableOf(page: string): Runnable[] {
  return commandsOf(page)
    .flatMap(parsed)
    .flatMap((command) => {
      const argv = ownArguments(command)
      const words = [command.program, ...command.args].join(' ')
      return argv === undefined || whyNotRun(page, words) !== undefined ? [] : [{ command: words, argv }]
    })
}

/** One after the other; `here` puts what lies outside in its place. */
export async function runCommandsOf(
  page: string,
  cwd: string,
  here: (word: string) => string,
): Promise<Ran[]> {
  const ran: Ran[] = []
  for (const { command, argv } of runnableOf(page))
    ran.push({ command, ...(await runHere(argv.map(here), cwd)) })
  return ran
}

export async function runHere(argv: readonly string[], cwd: string) {
  const told: string[] = []
  const say = (text: string) => void told.push(text)
  const io = { cwd, isTerminal: false, out: say, err: say, onStop() {}, ask: async () => 'yes' }
  const code = await runCli(argv, io)
  return { code, said: told.join('\n') }
}
