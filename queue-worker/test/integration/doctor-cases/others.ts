/** Other systems that a worker needs, and workers themselves. */
import { freePort } from '../../support/cli.ts'
import { withQueues } from '../../support/doctor-bench.ts'
import { startStorageServer } from '../../support/storage-server.ts'
import { STRIPE_WEBHOOK_SECRET, startStripe } from '../../support/stripe-server.ts'
import { type Case, otherProcessors } from './case.ts'

/** A queue of ours that this worker does not read. */
const newQueue = ['queue_missing', 'queue_unserved']

export const others: readonly Case[] = [
  {
    what: 'a mail server that refuses the login',
    kind: 'rpc',
    breaks: () => ({ SMTP_PASS: 'not-the-password' }),
    finds: 'mail_login_refused',
    says: /refused the login/,
    remedy: /SMTP_USER and SMTP_PASS/,
  },
  {
    what: 'a closed port of the mail server',
    kind: 'postgres',
    breaks: async () => ({ SMTP_PORT: String(await freePort()) }),
    finds: 'mail_unreachable',
    says: /refuse|does not accept/,
    remedy: /SMTP_PORT/,
  },
  {
    what: 'a closed port of the broker',
    kind: 'rpc',
    breaks: async () => ({ AMQP_URL: `amqp://127.0.0.1:${await freePort()}` }),
    finds: 'broker_unreachable',
    also: newQueue,
    says: /refuses connections/,
    remedy: /host and port in AMQP_URL/,
  },
  {
    what: 'a folder of reports that cannot be written to',
    kind: 'postgres',
    breaks: ({ cwd }) => ({ REPORTS_DIR: `${cwd}/.env.example/reports` }),
    finds: 'folder_unusable',
    also: newQueue,
    says: /cannot be made: ENOTDIR/,
    remedy: /REPORTS_DIR/,
  },
  {
    what: 'a missing bucket',
    kind: 'postgres',
    async breaks({ later }) {
      const server = await startStorageServer('sb_secret_storage_0123456789', 'another')
      later(server.stop)
      return {
        SUPABASE_URL: server.url,
        SUPABASE_SECRET_KEY: 'sb_secret_storage_0123456789',
        REPORTS_BUCKET: 'reports',
        QUEUE_TRANSPORT: 'postgres',
      }
    },
    finds: 'bucket_unusable',
    also: newQueue,
    says: /Bucket not found/,
    remedy: /private bucket "reports"/,
  },
  {
    what: 'a Stripe key that is refused',
    kind: 'rpc',
    async breaks({ later }) {
      const server = await startStripe()
      later(server.stop)
      return {
        PAYMENTS_PROVIDER: 'stripe',
        STRIPE_SECRET_KEY: 'sk_test_of_somebody_else',
        STRIPE_API_URL: server.url,
        STRIPE_WEBHOOK_SECRET,
      }
    },
    finds: 'provider_key_refused',
    also: newQueue,
    says: /refuses our key \(401\)/,
    remedy: /STRIPE_SECRET_KEY/,
  },
]

export const workers: readonly Case[] = [
  {
    what: 'no worker alive',
    kind: 'postgres',
    breaks: (bench) => bench.database(withQueues),
    finds: 'no_worker',
    says: /no worker is alive/,
    remedy: /npm start/,
  },
  {
    what: 'a queue that no worker reads',
    kind: 'rpc',
    async breaks(bench) {
      await bench.sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "invoices"}')`
      return otherProcessors(bench, 'invoices')
    },
    finds: 'queue_unserved',
    says: /no live worker reads invoices/,
    remedy: /QUEUES/,
  },
  {
    what: 'a worker that disappeared',
    kind: 'rpc',
    async breaks({ sql, later }) {
      await sql`insert into queue_worker.workers (worker_id, instance, version, host, pid, queues, in_flight, seen_at)
        values ('lost', 'i', '0.1.0', 'machine-7', 17, '{orders}', 3, clock_timestamp() - interval '10 minutes')`
      later(() => sql`delete from queue_worker.workers where worker_id = 'lost'`)
      return {}
    },
    finds: 'worker_disappeared',
    says: /worker lost \(machine-7, process 17\) was last seen 10 min ago/,
    remedy: /its log/,
  },
]
