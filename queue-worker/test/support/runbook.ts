/** The SQL of docs/runbooks.md, run from there: a test that holds a copy of it would let the document rot. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Row, Sql } from 'postgres'
import { projectRoot } from './cli.ts'

export const runbooksText = (): string => readFileSync(join(projectRoot, 'docs/runbooks.md'), 'utf8')

/** Blocks are named after their language: ```sql restore-pause. */
function blocksOf(text: string): Map<string, string> {
  const blocks = new Map<string, string>()
  for (const [, indent = '', info = '', body = ''] of text.matchAll(/^( *)```sql(.*)\n([\s\S]*?)^ *```$/gm)) {
    const name = info.trim()
    if (name === '' || blocks.has(name)) throw new Error(`the SQL block "${name}" needs a name of its own`)
    blocks.set(name, body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
  }
  return blocks
}

/** One statement each, as psql would send them. */
function statementsOf(sql: string): string[] {
  const statements: string[] = []
  let pending = ''
  for (const line of sql.trim().split('\n')) {
    pending += `${line}\n`
    const isInBody = (pending.split('$$').length - 1) % 2 === 1
    if (!isInBody && /;\s*(--.*)?$/.test(line)) {
      statements.push(pending)
      pending = ''
    }
  }
  if (pending.trim() !== '') throw new Error(`a statement has no end: ${pending}`)
  return statements
}

export type Runbook = ReturnType<typeof createRunbook>

/** Runs the blocks whose names begin with `prefix`, with another queue's name if `queue` is given. */
export function createRunbook(prefix: string) {
  const blocks = new Map([...blocksOf(runbooksText())].filter(([name]) => name.startsWith(`${prefix}-`)))
  const unused = new Set(blocks.keys())
  return {
    /**
     * Runs one block and gives the rows of its last statement. What the document has as examples (a time, an id) is
     * replaced; each must be there.
     */
    async run(sql: Sql, name: string, examples: Readonly<Record<string, string>> = {}): Promise<Row[]> {
      const full = `${prefix}-${name}`
      let text = blocks.get(full)
      if (text === undefined) throw new Error(`the document has no SQL block "${full}"`)
      unused.delete(full)
      for (const [example, real] of Object.entries(examples)) {
        if (!text.includes(example)) throw new Error(`"${full}" does not have "${example}" in it`)
        text = text.replaceAll(example, () => real)
      }
      let rows: Row[] = []
      for (const statement of statementsOf(text)) rows = [...(await sql.unsafe(statement).simple())] as Row[]
      return rows
    },
    /** Blocks that no test has run. */
    unused: () => [...unused],
  }
}

/** The example time of the document. */
export const EXAMPLE_TIME = '2026-11-22 10:00:00+00'
