/** What became of the demo's messages, in words. */
import { effectOf } from './demo-effects.ts'
import type { Ending } from './demo-endings.ts'
import type { Arrived } from './demo-inbox.ts'
import { DEMO_QUEUES } from './demo-messages.ts'
import { type DemoPayment, paymentsOf } from './demo-payments.ts'
import type { Run } from './demo-run.ts'
import type { Scene } from './demo-scene.ts'

export type DemoResult = {
  /** Its real name. */
  readonly queue: string
  readonly id: string
  readonly message: string
  readonly happened: string
  readonly attempts: number
  readonly deliveries: number
  /** Null while it waits. */
  readonly ms: number | null
  /** Why it became a dead letter. */
  readonly error: string | null
  /** The mail or the report. */
  readonly file: string | null
}

export type DemoResults = {
  /** Queue by queue. */
  readonly messages: readonly DemoResult[]
  readonly payments: readonly DemoPayment[]
  readonly amqp: {
    readonly broker: string
    /** What came out of it again. */
    readonly arrived: readonly Arrived[]
    /** Why nothing can be read back from it. */
    readonly missing: string | null
  }
}

export async function resultsOf({ sent, endings }: Run, scene: Scene): Promise<DemoResults> {
  const { sql, prefix, broker, inbox } = scene
  const isThere = typeof inbox !== 'string'
  const places = { ...scene, arrived: isThere ? await inbox.take() : [] }
  const messages: DemoResult[] = []
  for (const one of DEMO_QUEUES.flatMap((name) => sent.filter(({ queue }) => queue === name))) {
    const { queue, id, title: message } = one
    const ending = endings.of(one)
    const { attempts = 0, deliveries = 0, ms = null, error = null } = ending ?? {}
    const effect = ending?.state === 'archived' ? await effectOf(queue, ending, places) : NOTHING
    messages.push({
      queue: `${prefix}${queue}`,
      id,
      message,
      happened: effect.happened || unhappily(ending),
      attempts,
      deliveries,
      ms: ms && Math.round(ms),
      error: error === null ? null : reasonIn(error),
      file: effect.file,
    })
  }
  const all = sent.flatMap((one) => endings.of(one) ?? [])
  return {
    messages,
    payments: await paymentsOf(sql, all),
    amqp: { broker: broker.name, arrived: places.arrived, missing: isThere ? null : inbox },
  }
}

/** For a server, which uses up no attempt. */
export const WAITS = 'waits for a broker'
const NOTHING = { happened: '', file: null }

function unhappily(ending: Ending | undefined): string {
  if (ending === undefined) return 'not finished'
  if (ending.state === 'dead') return `dead letter: ${ending.reason}`
  return ending.attempts === 0 ? WAITS : 'to be tried again'
}

/** Without the name of its class and the places in our code. */
function reasonIn(error: string): string {
  const lines = error.split('\n').filter((line) => !line.startsWith('    at '))
  return lines
    .slice(0, 2)
    .join(' ')
    .replace(/^\w*Error: /, '')
}

export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}
