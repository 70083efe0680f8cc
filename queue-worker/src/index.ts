#!/usr/bin/env node
/** The entry: checks Node, hears signals, sets the exit code. Everything else is below cli.ts. */
const OLDEST_NODE = [22, 18] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(
    `queue-worker needs Node.js ${OLDEST_NODE.join('.')} or newer; this is ${process.version}. Install a newer one from https://nodejs.org or with your version manager.`,
  )
  process.exit(3)
}

// Loaded only now: an older Node could not even read what they import.
const { runCli } = await import('./cli.ts')

const stops: (() => void)[] = []
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stops.length === 0) process.exit(signal === 'SIGINT' ? 130 : 143)
    for (const stop of stops) stop()
  })
}

// `queue-worker queues | head -1`: who reads the output has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  // Without the terminal's own editing, so that Ctrl-C is a signal like any other.
  const lines = createInterface({ input: process.stdin, output: process.stdout, terminal: false })
  try {
    return await lines.question(question)
  } finally {
    lines.close()
  }
}

process.exitCode = await runCli(process.argv.slice(2), {
  cwd: process.cwd(),
  isTerminal: process.stdout.isTTY === true,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  onStop: (stop) => void stops.push(stop),
  ...(process.stdin.isTTY && process.stdout.isTTY ? { ask } : {}),
})
// Commands close what they open; a library that holds on to a timer must not keep a finished process alive.
process.exit()
