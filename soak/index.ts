/** `npm run soak`: all faults at random on real processes, and a ledger at the end. See README.md. */
import { randomInt } from 'node:crypto'
import { constants } from 'node:os'
import { planSoak } from './plan.ts'
import { describeFault } from './plan-faults.ts'
import { defectsText, ledgerText } from './report.ts'
import { runSoak } from './run.ts'
import { readSettings, replayLine, type Settings, USAGE } from './settings.ts'

const say = (text: string) => console.error(text)

const args = process.argv.slice(2)
if (args.includes('--help')) console.log(USAGE)
else {
  const settings = settingsOf(args)
  if (settings === null) process.exitCode = 2
  else await soak(settings)
}

function settingsOf(words: readonly string[]): Settings | null {
  try {
    return readSettings(words, () => randomInt(1, 2 ** 31))
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n--help tells what can be given.`)
    return null
  }
}

async function soak(settings: Settings): Promise<void> {
  const plan = planSoak(settings)
  say(`Replay with: ${replayLine(settings)}\n`)
  say(`${plan.messages.length} messages, ${plan.faults.length} faults:`)
  for (const fault of plan.faults) say(describeFault(fault))

  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!interrupted.signal.aborted) say(`\n${signal}: everything that was started is ended`)
      process.exitCode = 128 + constants.signals[signal]
      interrupted.abort(new Error(`interrupted by ${signal}`))
    })
  }
  try {
    const { ledger, evidence, journal, folder } = await runSoak(
      settings,
      plan,
      process.stderr,
      interrupted.signal,
    )
    if (settings.json) console.log(JSON.stringify({ settings, ledger }, null, 2))
    else console.log(`\n${ledgerText(ledger)}\n`)
    if (ledger.defects.length === 0) return
    say(defectsText(ledger.defects, settings, evidence, journal))
    say(`The journal and the workers' logs are kept in ${folder}`)
    process.exitCode = 1
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
  }
}
