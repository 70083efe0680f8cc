/** The model checker's proof: proof/lease.pml has all its properties, and its built-in mistakes are found. */
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const script = fileURLToPath(new URL('../../../proof/check.sh', import.meta.url))
const missing = ['spin', 'gcc'].filter((program) => spawnSync(program, ['--version']).error !== undefined)
const why =
  missing.length > 0 ? ` (skipped: ${missing.join(' and ')} not found; apt-get install spin gcc)` : ''

// proof/README.md tells what it costs; a machine that does other things at the same time takes several times that.
test.skipIf(missing.length > 0)(
  `the protocol's model is proved by spin${why}`,
  { timeout: 900_000 },
  async () => {
    const { code, output } = await run(script)
    expect(code, output).toBe(0)
    const lines = output.trim().split('\n')
    expect(lines.filter((line) => line.includes(' holds, ')).length, output).toBeGreaterThanOrEqual(12)
    expect(lines.filter((line) => line.includes(' fails, ')).length, output).toBeGreaterThanOrEqual(8)
  },
)

/** In a process group of its own: when the test ends early, all that the script has started is ended with it. */
function run(command: string): Promise<{ code: number; output: string }> {
  const child = spawn('sh', [command], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const { pid } = child
  onTestFinished(() => {
    if (pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-pid, 'SIGTERM')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? -1, output }))
  })
}
