/** One moment at which crash-points.test.ts kills a worker, and what must be true afterwards. */
import type { Mode } from './fixtures/modes.ts'
import type { DeathPoint, Orders } from './fixtures/orders.ts'

export type Case = {
  readonly name: string
  readonly only?: 'postgres'
  /** What the processor does with the message, and what that says besides. */
  readonly mode?: Mode
  readonly message?: object
  /** Sent before it. */
  readonly others?: readonly object[]
  readonly dieAt?: DeathPoint
  readonly orders?: Partial<Orders>
  /** Is told to stop or to die once the processor runs; dies of that. */
  readonly told?: 'stop' | 'die'
  /** Two workers have disappeared over it already, and so it runs alone in a child. */
  readonly suspect?: true
  /** Comes back by itself after a short visibility timeout; for the others time is moved by hand. */
  readonly waits?: true

  /** What the death leaves in the queue: hidden for one visibility timeout, from when; visible; put off by a failure. */
  readonly left:
    | 'untouched'
    | 'hidden from the read'
    | 'hidden from later on'
    | 'visible'
    | 'put off'
    | 'nothing'
  /** The deliveries marked as running alone that the death leaves. */
  readonly isolated?: readonly number[]
  /** How often the processor began, and how often its effect happened. */
  readonly starts: number
  readonly effects?: number
  /** What the next delivery counts. Null: there is none, or it counts none. */
  readonly returned: { readonly interruptions: number; readonly diedAlone: number } | null
  readonly ends?: 'archived' | 'deleted' | 'dead'
  /** How often it was read. */
  readonly deliveries: number
  /** What is recorded beside archive and delete: "delivery outcome". */
  readonly outcomes?: readonly string[]
  /** What the error of the dead letter says. */
  readonly error?: string
  /** How many follow-ups are there after the death; in the end there is one. */
  readonly sent?: number
}
