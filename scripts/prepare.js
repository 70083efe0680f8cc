// Runs after `npm install` and `npm ci`: leaves a built dist/, so that pm2, systemd and npx find the program.
// An install must not fail for a Node that cannot build; the program itself refuses such a Node, clearly.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

if (existsSync(join(root, 'queue-worker/src'))) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) {
    const { build } = await import('./build.js')
    build()
  } else {
    console.warn(
      `queue-worker: not built, because this is Node.js ${process.version}; run "npm run build" with 22.18 or newer.`,
    )
  }
}
