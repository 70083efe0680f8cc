/** What the demo's messages brought about outside their queues: looked for where it should have happened. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { webhookId } from '../services/http/signing.ts'
import type { Ending } from './demo-endings.ts'
import type { Arrived } from './demo-inbox.ts'
import type { DemoQueue } from './demo-messages.ts'
import type { DemoReceiver } from './demo-receiver.ts'

/** In words, and the file that shows it. */
export type Effect = { readonly happened: string; readonly file: string | null }

export type Places = {
  readonly sql: Sql
  readonly mailDirectory: string
  readonly receiver: DemoReceiver
  readonly arrived: readonly Arrived[]
}

/** What became of a message that succeeded. */
export function effectOf(queue: DemoQueue, { originKey }: Ending, places: Places): Promise<Effect> {
  return LOOKS[queue](originKey, places)
}

const LOOKS: Readonly<Record<DemoQueue, (originKey: string, places: Places) => Promise<Effect>>> = {
  async email_queue(originKey, { mailDirectory }) {
    for (const name of await readdir(mailDirectory)) {
      const file = join(mailDirectory, name)
      if (!name.endsWith('.eml') || !(await readFile(file, 'utf8')).includes(originKey)) continue
      return { happened: 'sent', file }
    }
    return { happened: 'sent, but the mail is not there', file: null }
  },

  async reports(originKey, { sql }) {
    const [report] = await sql<{ rows: string; location: string }[]>`
      select rows, location from public.reports where origin_key = ${originKey} and state = 'done'`
    return { happened: `a file of ${report?.rows} rows`, file: report?.location ?? null }
  },

  async payments(originKey, { sql }) {
    const [event] = await sql<{ before: string; after: string }[]>`
      select status_before as before, status_after as after from public.payment_events where origin_key = ${originKey}`
    return { happened: `${event?.before} → ${event?.after}`, file: null }
  },

  async http_callbacks(originKey, { receiver }) {
    const heard = receiver.heard(webhookId(originKey))
    const answers = heard.map(({ status }) => status).join(', then ')
    const signature = heard.every(({ verified }) => verified) ? 'signature verified' : 'WRONG SIGNATURE'
    return { happened: `answered ${answers}; ${signature}`, file: null }
  },

  async amqp(originKey, { arrived }) {
    const isThere = arrived.some(({ id }) => id === originKey)
    return { happened: isThere ? 'confirmed, and read back' : 'confirmed by the broker', file: null }
  },
}
