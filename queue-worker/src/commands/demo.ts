/** `demo`: the whole product in a few seconds, on the embedded stack and with made-up mail. */
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Sql } from 'postgres'
import { openDatabase } from '../services/postgres.ts'
import { sleep } from '../utils/sleep.ts'
import { composeWorker } from './compose.ts'
import { DEMO_MESSAGES, DEMO_QUEUE, type DemoMessage } from './demo-messages.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { type Setup, setUp } from './setup.ts'
import { table } from './table.ts'

/** So much longer than it takes that only something broken takes it. */
const LIMIT_MS = 60_000

export async function demo(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  io.err('Starting PostgreSQL with pgmq, PostgREST and a mail server …')
  const setup = await setUp(io, {
    embedded: 'always',
    extra: {
      EMAIL_TEMPLATES_DIR: packageTemplates(),
      // A real queue waits a minute before it tries a busy mailbox again; a demo need not.
      EMAIL_QUEUE_BACKOFF_BASE_SECONDS: '1',
      EMAIL_QUEUE_BACKOFF_MAX_SECONDS: '2',
      LOG_LEVEL: 'silent',
      WORKER_ID: 'demo',
      PORT: 'off',
    },
  })
  const { stack } = setup
  if (stack === null) throw new Error('the demo has no embedded stack')
  const { sql } = openDatabase({ url: stack.databaseUrl, connections: 1 })
  const { worker } = await composeWorker(setup, io)
  const interrupted = new AbortController()
  io.onStop(() => interrupted.abort())
  try {
    await worker.start()
    io.err(`Sending ${DEMO_MESSAGES.length} messages, as your database would:\n`)
    const sent: Sent[] = []
    for (const message of DEMO_MESSAGES) {
      const [row] = await sql<{ id: string }[]>`
        select pgmq.send(${DEMO_QUEUE}::text, ${sql.json(message.payload as never)}::jsonb) as id`
      const id = row?.id ?? ''
      io.err(
        `  select pgmq.send('${DEMO_QUEUE}', '${shorten(JSON.stringify(message.payload))}');  → message ${id}`,
      )
      sent.push({ ...message, id })
    }
    io.err('\nThe worker reads them over the REST interface and processes them …\n')
    const rows = await untilEnded(sql, sent, interrupted.signal)
    const results = await describe(sent, rows, setup, io.cwd)
    io.out(options.json ? JSON.stringify(results) : show(results, setup))
    return rows.length === sent.length ? EXIT.ok : EXIT.failed
  } finally {
    await worker.stop('the demo is over')
    await sql.end({ timeout: 1 })
    await stack.stop()
  }
}

type Sent = DemoMessage & { readonly id: string }
type Row = {
  id: string
  state: 'archived' | 'dead'
  attempts: number
  ms: number
  reason: string | null
  error: string | null
  origin_key: string
}
type Result = { message: string; id: string; happened: string; attempts: number; ms: number; look: string }

async function untilEnded(
  sql: Sql,
  sent: readonly Sent[],
  interrupted: AbortSignal,
): Promise<readonly Row[]> {
  const giveUpMs = performance.now() + LIMIT_MS
  const ids = sent.map((message) => message.id)
  for (;;) {
    const rows = await ended(sql, ids)
    if (rows.length === sent.length || interrupted.aborted || performance.now() > giveUpMs) return rows
    await sleep(100, interrupted)
  }
}

async function describe(
  sent: readonly Sent[],
  rows: readonly Row[],
  setup: Setup,
  cwd: string,
): Promise<Result[]> {
  const mails = await mailFiles(setup.stack?.mailDirectory ?? '')
  return sent.map((message): Result => {
    const row = rows.find((one) => one.id === message.id)
    const { id, title } = message
    if (row === undefined)
      return { message: title, id, happened: 'not finished', attempts: 0, ms: 0, look: '' }
    const mail = mails.find(({ text }) => text.includes(row.origin_key))
    const isDead = row.state === 'dead'
    return {
      message: title,
      id,
      happened: isDead ? `dead letter: ${row.reason}` : 'sent, archived',
      attempts: row.attempts,
      ms: Math.round(row.ms),
      look: isDead
        ? `${firstLine(row.error)}\n      ${deadLetterQuery(id)}`
        : relative(cwd, mail?.path ?? ''),
    }
  })
}

function firstLine(text: string | null): string {
  return shorten(
    (text ?? '')
      .split('\n')
      .filter((line) => !line.startsWith('    at '))
      .slice(0, 2)
      .join(' '),
    150,
  )
}

/** Where each message ended, as anybody could ask. */
function ended(sql: Sql, ids: readonly string[]): Promise<Row[]> {
  return sql<Row[]>`
    select a.msg_id::text as id, 'archived' as state, null as reason, null as error,
      1 + (select count(*)::int from queue_worker.outcomes o where o.queue = ${DEMO_QUEUE} and o.msg_id = a.msg_id
        and o.enqueued_at = a.enqueued_at and o.outcome = 'retry') as attempts,
      extract(epoch from a.archived_at - a.enqueued_at)::float8 * 1000 as ms,
      queue_worker.origin_key(${DEMO_QUEUE}, a.msg_id, a.enqueued_at) as origin_key
    from pgmq.a_email_queue a where a.msg_id = any (${ids}::bigint[])
    union all
    select l ->> 'msg_id', 'dead', l ->> 'reason', l ->> 'error', (l ->> 'attempts')::int,
      extract(epoch from (l ->> 'dead_at')::timestamptz - (l ->> 'enqueued_at')::timestamptz)::float8 * 1000, l ->> 'origin_key'
    from (select d.message -> 'dead_letter' as l from pgmq.q_email_queue_dlq d) d where (l ->> 'msg_id')::bigint = any (${ids}::bigint[])`
}

async function mailFiles(directory: string): Promise<{ path: string; text: string }[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.eml'))
  const paths = names.map((name) => join(directory, name))
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, 'utf8') })))
}

function deadLetterQuery(id: string): string {
  return `select message from pgmq.q_${DEMO_QUEUE}_dlq where message @> '{"dead_letter": {"msg_id": ${id}}}'`
}

function show(results: readonly Result[], setup: Setup): string {
  const rows = results.map(({ message, id, happened, attempts, ms }) => [
    id,
    message,
    happened,
    String(attempts),
    `${ms} ms`,
  ])
  const places = results.map(({ id, look }) => `  message ${id}: ${look}`).join('\n')
  return `${table(['id', 'message', 'what happened', 'attempts', 'time'], rows, [0, 3, 4])}

Where to look:
${places}

The data stays in .queue-worker/. Next:
  npm run dev     a worker on the same stack, for messages of your own:
                  psql "${setup.stack?.databaseUrl}"
                  select pgmq.send('email_queue', '{"to": "you@example.com", "subject": "Hi", "text": "Hello"}');
  README.md       connect it to your Supabase project`
}

function shorten(text: string, length = 70): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}

function packageTemplates(): string {
  const up = import.meta.url.endsWith('.ts') ? '../../../templates' : '../../templates'
  return fileURLToPath(new URL(up, import.meta.url))
}
