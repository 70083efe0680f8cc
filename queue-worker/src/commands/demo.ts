/** `demo`: the whole product in a few seconds, on the embedded stack, with made-up mail, play money and real files. */
import { showDemo } from './demo-report.ts'
import { resultsOf } from './demo-results.ts'
import { runDemo } from './demo-run.ts'
import { openScene } from './demo-scene.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'

export async function demo(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  const interrupted = new AbortController()
  io.onStop(() => interrupted.abort())
  const scene = await openScene(io, interrupted.signal)
  try {
    const run = await runDemo(scene, io, interrupted.signal)
    const results = await resultsOf(run, scene)
    io.out(options.json ? JSON.stringify(results) : showDemo(results, scene.databaseUrl))
    if (run.isWhole) return EXIT.ok
    io.err(
      interrupted.signal.aborted
        ? '\nInterrupted. What is not finished stays in its queue.'
        : '\nNot all of them came to an end. Run npm run dev to see in the log of a worker why.',
    )
    return EXIT.failed
  } finally {
    await scene.close()
  }
}
