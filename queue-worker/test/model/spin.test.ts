/** The model checker's proof: proof/lease.pml has all its properties, and its built-in mistakes are found. */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../../../proof/check.sh', import.meta.url))
const missing = ['spin', 'gcc'].filter((program) => spawnSync(program, ['--version']).error !== undefined)
const why =
  missing.length > 0 ? ` (skipped: ${missing.join(' and ')} not found; apt-get install spin gcc)` : ''

// About two minutes of one core; a machine that does other things at the same time takes several times that.
test.skipIf(missing.length > 0)(
  `the protocol's model is proved by spin${why}`,
  { timeout: 900_000 },
  async () => {
    const { code, output } = await run(script)
    expect(code, output).toBe(0)
    const lines = output.trim().split('\n')
    expect(lines.filter((line) => line.includes(' holds, ')).length, output).toBeGreaterThanOrEqual(12)
    expect(lines.filter((line) => line.includes(' fails, ')).length, output).toBeGreaterThanOrEqual(6)
  },
)

function run(command: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile('sh', [command], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    )
  })
}
