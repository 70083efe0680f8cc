/** Brings a fresh PostgreSQL to the state of a Supabase project with pgmq: all of it or, when cut short, nothing. */
import postgres from 'postgres'
import { SetupError } from '../errors.ts'
import type { Secrets } from './keys.ts'
import type { PgmqSource } from './pgmq.ts'
import { loopback } from './ports.ts'
import { rolesSql } from './roles.ts'

export type BootstrapOptions = { readonly port: number; readonly secrets: Secrets; readonly pgmq: PgmqSource }

/** Does nothing when it was done before. Throws SetupError when the data were made with another password. */
export async function bootstrap({ port, secrets, pgmq }: BootstrapOptions): Promise<void> {
  const sql = postgres({
    host: loopback,
    port,
    user: 'supabase_admin',
    password: secrets.adminPassword,
    database: 'postgres',
    max: 1,
    onnotice: () => {},
  })
  try {
    await sql.begin(async (transaction) => {
      const [found] = await transaction`select from pg_roles where rolname = 'authenticator'`
      if (found) return
      await transaction.unsafe(rolesSql(secrets)).simple()
      // As postgres, who so owns the schema, the tables and the functions, as after Supabase's own hand-over.
      await transaction.unsafe('set local session authorization postgres').simple()
      await transaction.unsafe('create schema pgmq').simple()
      if (pgmq.kind === 'extension') await transaction`create extension pgmq with schema pgmq`
      else await transaction.unsafe(pgmq.sql).simple()
    })
  } catch (error) {
    if ((error as { code?: unknown }).code !== '28P01') throw error
    throw new SetupError(
      'the embedded PostgreSQL does not know the password in stack.json',
      "The stack's folder was put together from two: remove it and start afresh.",
      { cause: error },
    )
  } finally {
    await sql.end({ timeout: 5 })
  }
}
