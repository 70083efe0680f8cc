/** The SQL of pages of documentation, statement by statement. */
import { blocksOf } from './doc-blocks.ts'

/** Of blocks without a name, in their order; a semicolon within quotes ends none. Named blocks are for tests of their own. */
export function statementsOf(page: string): string[] {
  return blocksOf(page)
    .filter(({ language }) => language === 'sql')
    .flatMap(({ text }) => text.match(/(?:--.*|'(?:[^']|'')*'|\$\$[\s\S]*?\$\$|[^;])+/g) ?? [])
    .map((statement) => statement.replace(/^\s*(?:--.*\s*)*/, '').trim())
    .filter((statement) => statement !== '')
}
