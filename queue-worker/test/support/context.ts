/** A processor's context whose ledger lives in memory and keeps the contract of `once`. Fakes nothing else. */
import { pino } from 'pino'
import { UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import type { ProcessorContext } from '../../src/processors/define.ts'

type Entry = { state: 'started' } | { state: 'done'; result: string }

/** The ledger of one message over all its deliveries. */
export function createLedger() {
  const steps = new Map<string, Entry>()
  return {
    steps,
    /** As if the worker had died in the middle of this step. */
    leaveStarted: (step: string) => steps.set(step, { state: 'started' }),
    results: () =>
      Object.fromEntries(
        [...steps].map(([step, entry]) => [
          step,
          entry.state === 'done' ? JSON.parse(entry.result) : 'started',
        ]),
      ),
    async once<T>(
      step: string,
      run: () => Promise<T> | T,
      { uncertain = 'hold' }: { uncertain?: 'hold' | 'repeat' } = {},
    ): Promise<T> {
      const found = steps.get(step)
      if (found?.state === 'done') return JSON.parse(found.result)
      if (found?.state === 'started' && uncertain === 'hold') {
        throw new UnrecoverableError(`step ${step} was started and its end is not known`)
      }
      steps.set(step, { state: 'started' })
      try {
        const result = await run()
        steps.set(step, { state: 'done', result: JSON.stringify(result ?? null) })
        return result
      } catch (thrown) {
        if (!(thrown instanceof UncertainEffectError)) steps.delete(step)
        throw thrown
      }
    },
  }
}

export type Ledger = ReturnType<typeof createLedger>

export function createContext(given: Partial<ProcessorContext> & { ledger?: Ledger } = {}) {
  const { ledger = createLedger(), ...rest } = given
  const logged: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const context: ProcessorContext = {
    queue: 'email_queue',
    messageId: '1',
    attempt: 1,
    maxAttempts: 12,
    originKey: 'email_queue-1-abc',
    headers: null,
    enqueuedAt: new Date(),
    traceContext: null,
    signal: new AbortController().signal,
    logger,
    once: ledger.once,
    send() {
      throw new Error('not used here')
    },
    transaction() {
      throw new Error('not used here')
    },
    ...rest,
  }
  return { context, ledger, logged }
}
