/** An embedded stack of its own for one test file, in a fresh folder and on free ports. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Stack, type StackOptions, startStack } from '../../src/embedded/stack.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'

export type TestStack = Stack & {
  readonly directory: string
  /** What the stack would have shown a person. */
  readonly lines: readonly string[]
  /** Stops the stack and removes its folder. */
  dispose(): Promise<void>
}

export const anyPorts = { gateway: 0, postgres: 0, smtp: 0 }

/** Started with these options; the folder is removed by `dispose` also when it was given. */
export async function testStack(options: Partial<StackOptions> = {}): Promise<TestStack> {
  const directory = options.directory ?? (await stackFolder())
  const lines: string[] = []
  const remove = () => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  const log = (line: string) => void lines.push(line)
  const stack = await startStack({ ports: anyPorts, log, ...options, directory }).catch(async (error) => {
    // A folder that was given is the caller's until there is something to dispose of.
    if (options.directory === undefined) await remove()
    throw error
  })
  const dispose = async () => {
    await stack.stop()
    await remove()
  }
  return { ...stack, directory, lines, dispose }
}

/** The same with our SQL applied, as a user's database is. */
export async function migratedStack(options: Partial<StackOptions> = {}): Promise<TestStack> {
  const stack = await testStack(options)
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(sql, await listMigrations())
  await sql.end()
  return stack
}

/** A fresh folder that every user may enter: as root, PostgreSQL runs as another. */
export async function stackFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'queue-worker-test-'))
  await chmod(directory, 0o755)
  return directory
}

/** Runs one statement on a connection of its own. */
export async function query(url: string, text: string): Promise<unknown[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return await sql.unsafe(text)
  } finally {
    await sql.end()
  }
}
