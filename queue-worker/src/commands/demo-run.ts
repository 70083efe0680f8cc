/** Sends the demo's messages, and waits until each has come to its end. */
import { type Endings, endingsOf, type Sent } from './demo-endings.ts'
import { type DemoMessage, firstMessages, nextMessages, TO_CAPTURE, TO_REFUND } from './demo-messages.ts'
import { paymentOf } from './demo-payments.ts'
import { shorten } from './demo-results.ts'
import type { Scene } from './demo-scene.ts'
import type { Io } from './io.ts'

export type Run = {
  readonly sent: readonly Sent[]
  readonly endings: Endings
  /** False when not all of them came to their end: the signal came, or something is broken. */
  readonly isWhole: boolean
}

export async function runDemo(scene: Scene, io: Pick<Io, 'err'>, signal: AbortSignal): Promise<Run> {
  const sent: Sent[] = []
  const send = async (messages: readonly DemoMessage[]) => {
    for (const message of messages) {
      if (signal.aborted) return
      const isFirst = sent.every(({ queue }) => queue !== message.queue)
      const { id, line } = await sendOne(scene, message)
      if (isFirst) io.err(`  ${line}`)
      sent.push({ queue: message.queue, title: message.title, id })
    }
  }
  const follow = () => endingsOf(scene, sent, signal)

  const first = firstMessages(scene.receiver)
  io.err('Sending messages in SQL, as your database would. The first of each queue:\n')
  await send(first)
  let endings = await follow()
  if (endings.isWhole) {
    const made = (title: string) => {
      const message = sent.find((one) => one.title === title)
      return paymentOf(scene.sql, keyOf(endings, message))
    }
    const next = nextMessages({ toCapture: await made(TO_CAPTURE), toRefund: await made(TO_REFUND) })
    await send(next)
    io.err(`\nThe worker reads them over the REST interface and processes them …\n`)
    endings = await follow()
  }
  if (endings.isWhole) {
    sent.push(...(await reportMails(scene, sent, endings)))
    endings = await follow()
  }
  return { sent, endings, isWhole: endings.isWhole }
}

async function sendOne({ sql, prefix }: Scene, { queue, payload }: DemoMessage) {
  const name = `${prefix}${queue}`
  const [row] = await sql<{ id: string }[]>`
    select pgmq.send(${name}::text, ${sql.json(payload as never)}::jsonb) as id`
  const line = `select pgmq.send('${name}', '${shorten(JSON.stringify(payload), 90)}');`
  return { id: row?.id ?? '', line }
}

/** The mails that reports were sent off with: messages that the worker itself has put into the queue. */
async function reportMails({ sql, prefix }: Scene, sent: readonly Sent[], endings: Endings): Promise<Sent[]> {
  const reports = sent.filter(({ queue }) => queue === 'reports')
  const keys = reports.map((one) => `report-${keyOf(endings, one)}`)
  const mails = await sql<{ id: string }[]>`
    select k.msg_id as id from queue_worker.sent_keys k
    where k.queue = ${`${prefix}email_queue`} and k.idempotency_key = any (${keys}::text[])`
  return mails.map(({ id }) => ({ queue: 'email_queue', title: 'the mail that brings the PDF', id }))
}

function keyOf(endings: Endings, sent: Sent | undefined): string {
  return (sent && endings.of(sent)?.originKey) ?? ''
}
