/** The arguments of a soak, checked; and the line that runs the same plan again. */
import { parseArgs } from 'node:util'

export type PlanSettings = {
  readonly seed: number
  readonly seconds: number
  readonly messagesPerSecond: number
  readonly transports: readonly ('rpc' | 'postgres')[]
  readonly workersPerTransport: number
}

export type Settings = PlanSettings & { readonly json: boolean }

export const USAGE = `npm run soak -- [arguments]

  --minutes N     how long faults strike and messages are sent; fractions are fine (10)
  --seed N        the plan; one is chosen and printed if it is left out
  --transport T   rpc, postgres or both (both)
  --workers N     worker processes for each transport (2)
  --rate N        messages a second, on average (40)
  --json          the ledger as JSON on stdout
  --help          this text

Exit code: 0 nothing is wrong, 1 something must not be, 2 a wrong argument.`

/** @throws Error with what is wrong with an argument. */
export function readSettings(args: readonly string[], anySeed: () => number): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string' },
      transport: { type: 'string', default: 'both' },
      workers: { type: 'string', default: '2' },
      rate: { type: 'string', default: '40' },
      json: { type: 'boolean', default: false },
    },
  })
  const { transport } = values
  if (transport !== 'rpc' && transport !== 'postgres' && transport !== 'both') {
    throw new Error(`--transport ${transport}: give rpc, postgres or both`)
  }
  const number = (name: 'minutes' | 'rate' | 'workers' | 'seed', text: string, isWhole: boolean) => {
    const value = Number(text)
    const isRight = Number.isFinite(value) && value > 0 && (!isWhole || Number.isSafeInteger(value))
    if (!isRight) throw new Error(`--${name} ${text}: give a ${isWhole ? 'whole ' : ''}number above 0`)
    return value
  }
  return {
    seed: values.seed === undefined ? anySeed() : number('seed', values.seed, true),
    seconds: number('minutes', values.minutes, false) * 60,
    messagesPerSecond: number('rate', values.rate, false),
    transports: transport === 'both' ? ['rpc', 'postgres'] : [transport],
    workersPerTransport: number('workers', values.workers, true),
    json: values.json,
  }
}

/** Every argument that the plan depends on. */
export function replayLine(settings: PlanSettings): string {
  const { seed, seconds, messagesPerSecond, transports, workersPerTransport } = settings
  const transport = transports.length === 2 ? 'both' : transports[0]
  return (
    `npm run soak -- --seed ${seed} --minutes ${seconds / 60} --transport ${transport} ` +
    `--workers ${workersPerTransport} --rate ${messagesPerSecond}`
  )
}

/** The names of the workers: transport and number. */
export function slotNames(settings: Pick<PlanSettings, 'transports' | 'workersPerTransport'>): string[] {
  return settings.transports.flatMap((transport) =>
    Array.from({ length: settings.workersPerTransport }, (_, index) => `${transport}-${index + 1}`),
  )
}
