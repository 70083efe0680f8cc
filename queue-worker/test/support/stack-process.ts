/**
 * A program that runs a stack in the folder it is given until it is killed, for the tests of what becomes of one.
 * Prints the stack as one line of JSON, or the error.
 */
import { startStack } from '../../src/embedded/stack.ts'

const [directory = '', ports = '{"gateway":0,"postgres":0,"smtp":0}'] = process.argv.slice(2)
const lines: string[] = []
try {
  const { stop: _stop, ...stack } = await startStack({
    directory,
    ports: JSON.parse(ports),
    log: (line) => lines.push(line),
  })
  console.log(JSON.stringify({ ...stack, lines }))
  // One that joined has nothing that keeps it running.
  setInterval(() => {}, 60_000)
} catch (error) {
  console.log(JSON.stringify({ error: String(error), remedy: (error as { remedy?: unknown }).remedy }))
  process.exitCode = 1
}
