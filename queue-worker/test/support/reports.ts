/** Reports against the shared stack: functions of a test's own in schema reports, a folder for files, queues. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { inject } from 'vitest'
import { type ReportsOptions, reportsProcessor } from '../../src/processors/reports.ts'
import type { Transport } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createFileFolder } from '../../src/services/file-folder.ts'
import { createInspector, uniqueQueue } from './queues.ts'
import { openTransport } from './transports.ts'
import { until } from './worker.ts'

export type ReportRow = {
  origin_key: string
  state: string
  params: Record<string, string | null>
  title: string | null
  rows: string | null
  bytes: string | null
  sha256: string | null
  location: string | null
  error: string | null
  run: string
}

export type ReportBench = Awaited<ReturnType<typeof openReportBench>>

export async function openReportBench(kind: Transport['kind']) {
  const stack = inject('stack')
  const sql: Sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
  const look = createInspector(sql)
  const queue = uniqueQueue('rep')
  const emailQueue = uniqueQueue('mail')
  const folder = await mkdtemp(join(tmpdir(), 'queue-worker-reports-'))
  const prefix = `t_${randomBytes(6).toString('hex')}`
  const typed = createQueue(openTransport(kind, stack))
  await typed.ensureQueue(queue, { notify: false })
  await typed.ensureQueue(emailQueue, { notify: false })
  const made: string[] = []

  return {
    sql,
    look,
    queue,
    emailQueue,
    folder,
    /** Makes a report under a name of its own; `head` and `body` as in "create function name(head". */
    async define(parameters: string, returns: string, body: string, comment = ''): Promise<string> {
      const name = `${prefix}_${made.length}`
      made.push(name)
      await sql.unsafe(
        `create function reports.${name}(${parameters}) returns ${returns} language plpgsql as $body$ ${body} $body$`,
      )
      if (comment !== '') await sql.unsafe(`comment on function reports.${name} is $c$${comment}$c$`)
      return name
    },
    processor({
      transport = openTransport(kind, stack),
      ...options
    }: Partial<ReportsOptions> & { transport?: Transport } = {}) {
      const processor = reportsProcessor({
        connect: () => transport,
        close: () => transport.close(),
        storage: createFileFolder(folder),
        timeZone: 'UTC',
        statementTimeoutMs: 60_000,
        csv: { bom: false, delimiter: ',' },
        attachBytes: 100_000,
        linkSeconds: 3600,
        queue,
        emailQueue,
        ...options,
      })
      return { ...processor, maxAttempts: 2, backoff: { baseSeconds: 0.05, maxSeconds: 0.2 } }
    },
    /** Returns their ids. */
    async send(...messages: object[]): Promise<string[]> {
      const ids: string[] = []
      for (const message of messages) {
        const [row] = await sql<{ id: string }[]>`
          select pgmq.send(${queue}::text, ${sql.json(message as never)}::jsonb) as id`
        ids.push(row?.id ?? '')
      }
      return ids
    },
    /** Waits for the dead letter of a message. */
    async deadLetter(id: string): Promise<Record<string, unknown>> {
      let found: Record<string, unknown> | undefined
      await until(`message ${id} is a dead letter`, async () => {
        const letters = await look.deadLetters(queue)
        found = letters.find(({ message }) => String(message.dead_letter.msg_id) === id)?.message.dead_letter
        return found !== undefined
      })
      return found ?? {}
    },
    /** Rows of `public.reports` for these reports, in the order they were asked for. */
    records: (...reports: string[]) =>
      sql<ReportRow[]>`select * from public.reports where report = any(${reports}) order by requested_at`,
    /** All there is in the folder, leftovers too. */
    files: async () => (await readdir(folder)).sort(),
    async text(): Promise<string> {
      const [name, ...more] = await readdir(folder)
      if (name === undefined || more.length > 0) throw new Error('not exactly one file')
      return readFile(join(folder, name), 'utf8')
    },
    mails: async () => [...(await look.messages(emailQueue))].map(({ message }) => message as Mail),
    /** Waits until these messages are archived; fails at once when one of these becomes a dead letter. */
    async untilDone(...ids: readonly string[]): Promise<void> {
      await until(
        `messages ${ids.join(', ')} are archived`,
        async () => {
          const letters = await look.deadLetters(queue)
          const dead = letters.find(({ message }) => ids.includes(String(message.dead_letter.msg_id)))
          if (dead) throw new Error(`a dead letter: ${JSON.stringify(dead.message)}`)
          const archived = new Set((await look.archived(queue)).map(({ msg_id }) => String(msg_id)))
          return ids.every((id) => archived.has(id))
        },
        240_000, // a test's own limit comes first, unless it makes a very large one
      )
    },
    async close(): Promise<void> {
      for (const name of made) {
        await sql.unsafe(`drop function if exists reports.${name}`)
        await sql`delete from public.reports where report = ${name}`
      }
      await look.drop(queue)
      await look.drop(emailQueue)
      await typed.close()
      await sql.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type Mail = {
  to: string
  subject: string
  text: string
  attachments?: { filename: string; contentBase64: string; contentType: string }[]
}
