/**
 * One embedded stack (PostgreSQL 18) for a whole test run, with our migrations applied. A test file reaches it by
 * `inject('stack')`; it must use queues of its own, because other files use the same database at the same time.
 */
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import type { Stack } from '../../src/embedded/stack.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { testStack } from './stack.ts'

/** The plain data of a stack: what can be handed to another process. */
export type SharedStack = Omit<Stack, 'attached' | 'stop'>

declare module 'vitest' {
  export interface ProvidedContext {
    stack: SharedStack
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = await testStack()
  const {
    dispose,
    stop: _stop,
    attached: _attached,
    directory: _directory,
    lines: _lines,
    ...shared
  } = started
  await migrate(shared.databaseUrl)
  project.provide('stack', shared)
  return dispose
}

/** A migration that fails is told here; the tests that need it then fail by themselves, the others can still run. */
async function migrate(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  try {
    await applyMigrations(sql, await listMigrations())
  } catch (error) {
    console.error("The migrations cannot be applied to the tests' database:", error)
  } finally {
    await sql.end()
  }
}
