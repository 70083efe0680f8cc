/** Databases of a test's own in the shared server: fresh, owned by `postgres`, who is no superuser. */
import { randomBytes } from 'node:crypto'
import postgres, { type Sql } from 'postgres'
import type { SharedStack } from './global-stack.ts'

export type TestDatabase = {
  readonly name: string
  /** As postgres. */
  readonly sql: Sql
  /** As supabase_admin. */
  readonly admin: Sql
  /** Connection strings, as postgres and as supabase_admin. */
  readonly url: string
  readonly adminUrl: string
  dispose(): Promise<void>
}

export async function createDatabase(stack: SharedStack): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const owner = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await owner.unsafe(`create database ${name}`)
  const url = inDatabase(stack.databaseUrl, name)
  const adminUrl = inDatabase(stack.adminUrl, name)
  const sql = postgres(url, { max: 4, onnotice: () => {} })
  const admin = postgres(adminUrl, { max: 2, onnotice: () => {} })
  return {
    name,
    sql,
    admin,
    url,
    adminUrl,
    async dispose() {
      await Promise.all([sql.end({ timeout: 5 }), admin.end({ timeout: 5 })])
      await owner.unsafe(`drop database ${name} with (force)`)
      await owner.end()
    },
  }
}

function inDatabase(url: string, name: string): string {
  const parsed = new URL(url)
  parsed.pathname = `/${name}`
  return parsed.href
}
