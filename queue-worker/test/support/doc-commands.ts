/** The commands of pages of documentation: the lines of their `sh` blocks, without comments. */
import { blocksOf } from './doc-blocks.ts'

export type DocCommand = {
  /** The line as it stands there, continued ones joined. */
  readonly line: string
  /** NAME=value before it. */
  readonly settings: readonly string[]
  readonly program: string
  readonly args: readonly string[]
}

export function commandsOf(page: string): string[] {
  return blocksOf(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => linesOf(text))
}

/** A line goes on after a backslash, and within single quotes. */
function linesOf(block: string): string[] {
  const joined = block
    .replaceAll(/\\\n\s*/g, '')
    .replaceAll(/'[^']*'/g, (quoted) => quoted.replaceAll(/\n\s*/g, ' '))
  return joined
    .split('\n')
    .map((line) => line.replace(/(^|\s)#\s.*$/, '').trim())
    .filter((line) => line !== '')
}

/** One for each program of a line: `a && b`, `a | b`. */
export function parsed(line: string): DocCommand[] {
  const found: string[][] = [[]]
  for (const [, operator, word = ''] of line.matchAll(
    /(&&|\|)(?=\s)|((?:'[^']*'|"(?:\\.|[^"])*"|[^\s'"])+)/g,
  )) {
    if (operator !== undefined) found.push([])
    else found.at(-1)?.push(word.replaceAll(/'([^']*)'|"((?:\\.|[^"])*)"/g, '$1$2'))
  }
  return found.map((words) => {
    const first = words.findIndex((word) => !/^[A-Z][A-Z0-9_]*=/.test(word))
    const end = first < 0 ? words.length : first
    const [program = '', ...args] = words.slice(end)
    return { line, settings: words.slice(0, end), program, args }
  })
}

/** The arguments of our own program, when it is that. */
export function ownArguments({ program, args }: DocCommand): readonly string[] | undefined {
  if (program === 'npx' && args[0] === 'queue-worker') return args.slice(1)
  return program === 'node' && args[0] === 'dist/index.js' ? args.slice(1) : undefined
}
