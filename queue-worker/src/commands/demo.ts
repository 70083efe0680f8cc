/** `demo`: the whole product in a few seconds, on the embedded stack and with made-up mail. */
import { fileURLToPath } from 'node:url'
import { openDatabase } from '../services/postgres.ts'
import { composeWorker } from './compose.ts'
import { DEMO_MESSAGES, DEMO_QUEUE, DEMO_QUEUE_BESIDE } from './demo-messages.ts'
import { type Sent, shorten, untilEnded, whatBecameOf } from './demo-outcomes.ts'
import { showDemo } from './demo-report.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { setUp } from './setup.ts'

export async function demo(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  const setup = await setUp(io, {
    embedded: 'always',
    extra: {
      EMAIL_TEMPLATES_DIR: packageTemplates(),
      ...quickRetries(),
      LOG_LEVEL: 'silent',
      WORKER_ID: 'demo',
      PORT: 'off',
    },
  })
  const { stack } = setup
  if (stack === null) throw new Error('the demo has no embedded stack')
  const queue = stack.attached ? DEMO_QUEUE_BESIDE : DEMO_QUEUE
  if (stack.attached) {
    io.err(
      `The stack of this folder runs already, in another process. So that a worker there does not take the messages\n` +
        `of the demo, they go through a queue of its own, ${queue}.`,
    )
  }
  const { sql } = openDatabase({ url: stack.databaseUrl, connections: 1 })
  const interrupted = new AbortController()
  io.onStop(() => interrupted.abort())
  const { worker } = await composeWorker(setup, io, [], queue)
  try {
    await worker.start()
    io.err(`Sending ${DEMO_MESSAGES.length} messages, as your database would:\n`)
    const sent: Sent[] = []
    for (const message of DEMO_MESSAGES) {
      if (interrupted.signal.aborted) break
      const [row] = await sql<{ id: string }[]>`
        select pgmq.send(${queue}::text, ${sql.json(message.payload as never)}::jsonb) as id`
      const id = row?.id ?? ''
      io.err(
        `  select pgmq.send('${queue}', '${shorten(JSON.stringify(message.payload))}');  → message ${id}`,
      )
      sent.push({ ...message, id })
    }
    io.err('\nThe worker reads them over the REST interface and processes them …\n')
    const isWhole = await untilEnded(sql, queue, sent, interrupted.signal)
    const results = await whatBecameOf(sql, queue, sent, stack.mailDirectory, io.cwd)
    io.out(options.json ? JSON.stringify(results) : showDemo(results, queue, stack.databaseUrl))
    if (isWhole && sent.length === DEMO_MESSAGES.length) return EXIT.ok
    io.err(
      interrupted.signal.aborted
        ? '\nInterrupted. What is not finished stays in the queue.'
        : '\nNot all of them came to an end. Run npm run dev to see in the log of a worker why.',
    )
    return EXIT.failed
  } finally {
    await worker.stop('the demo is over')
    await sql.end({ timeout: 1 })
    await stack.stop()
  }
}

/** A real queue waits a minute before it tries a busy mailbox again; a demo need not. */
function quickRetries(): Record<string, string> {
  return Object.fromEntries(
    [DEMO_QUEUE, DEMO_QUEUE_BESIDE].flatMap((queue) => [
      [`${queue.toUpperCase()}_BACKOFF_BASE_SECONDS`, '1'],
      [`${queue.toUpperCase()}_BACKOFF_MAX_SECONDS`, '2'],
    ]),
  )
}

function packageTemplates(): string {
  const up = import.meta.url.endsWith('.ts') ? '../../../templates' : '../../templates'
  return fileURLToPath(new URL(up, import.meta.url))
}
