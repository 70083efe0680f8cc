// Builds dist/ from queue-worker/src by removing the types, which Node can do by itself: so an install without
// development packages builds the very same files. With TypeScript at hand, type declarations are added.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = join(root, 'queue-worker/src')
const target = join(root, 'dist')

export function build() {
  if (typeof nodeModule.stripTypeScriptTypes !== 'function') {
    throw new Error(`queue-worker needs Node.js 22.18 or newer to be built; this is ${process.version}`)
  }
  rmSync(target, { recursive: true, force: true })
  const files = readdirSync(source, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  for (const file of files) {
    const from = join(file.parentPath, file.name)
    const to = join(target, relative(source, from)).replace(/\.ts$/, '.js')
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, from.endsWith('.ts') ? strip(readFileSync(from, 'utf8')) : readFileSync(from))
  }
  chmodSync(join(target, 'index.js'), 0o755)
  addDeclarations()
}

/** Lines stay where they are, so stack traces fit the sources. */
function strip(code) {
  const plain = nodeModule.stripTypeScriptTypes(code, { mode: 'strip' })
  return toJs(plain)
}

function toJs(code) {
  return code.replace(/((?:from|import\()\s*'\.{1,2}\/[^']+)\.ts'/g, "$1.js'")
}

function addDeclarations() {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  if (!existsSync(compiler)) return
  execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
    cwd: root,
  })
  for (const file of readdirSync(target, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name)
    if (path.endsWith('.d.ts')) writeFileSync(path, toJs(readFileSync(path, 'utf8')))
  }
}

// Node says that removing types is experimental in some versions; that is no news to whoever runs this.
process.removeAllListeners('warning')
if (process.argv[1] === fileURLToPath(import.meta.url)) build()
