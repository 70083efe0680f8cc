/** Loads processors from modules: the product's own and those of a team's PROCESSORS folder. */
import { readdir } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { coerceError, SetupError } from '../errors.ts'
import { isQueueName } from '../queue/sends.ts'
import type { Processor } from './define.ts'

const CODE = new Set(['.js', '.mjs', '.ts', '.mts'])
const HOW = 'End the module with: export default defineProcessor({ queue, payload, process })'
const ELSEWHERE =
  'Modules that are no processors belong into a folder of their own, for example below this one'

/** The modules of a folder, in name order; tests and type declarations are left out, folders below it too. */
export async function processorModules(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw new SetupError(
      `the folder of processors cannot be read: ${coerceError(error).message}`,
      'Set PROCESSORS to a folder of modules that default-export a processor, or unset it',
    )
  })
  const modules = names
    .filter((name) => CODE.has(extname(name)) && !/\.(d|test|spec)\.m?[jt]s$/.test(name))
    .sort()
    .map((name) => resolve(join(folder, name)))
  if (modules.length > 0) return modules
  throw new SetupError(
    `the folder of processors, ${resolve(folder)}, has no module (${[...CODE].join(', ')}) in it`,
    'Put a module that default-exports a processor there, or unset PROCESSORS',
  )
}

/**
 * Imports modules whose default export is a processor, an array of them, or a function that returns either.
 * @throws SetupError naming the module that cannot be imported or exports something else, or two for one queue.
 */
export async function loadProcessors(modules: readonly string[]): Promise<Processor[]> {
  const loaded: Processor[] = []
  const owners = new Map<string, string>()
  for (const path of modules) {
    for (const processor of await loadModule(path)) {
      const owner = owners.get(processor.queue)
      if (owner !== undefined) throw twoForOneQueue(processor.queue, owner, path)
      owners.set(processor.queue, path)
      loaded.push(processor)
    }
  }
  return loaded
}

function twoForOneQueue(queue: string, first: string, second: string): SetupError {
  const where = first === second ? `both in ${first}` : `in ${first} and in ${second}`
  return new SetupError(
    `two processors are for queue ${queue}, ${where}`,
    'Keep one processor for each queue',
  )
}

async function loadModule(path: string): Promise<Processor[]> {
  let exported: unknown
  try {
    const module: unknown = await import(path.startsWith('file:') ? path : pathToFileURL(path).href)
    const found = defaultOf(module)
    exported = typeof found === 'function' ? await found() : found
  } catch (thrown) {
    if (thrown instanceof SetupError) throw thrown
    const cause = coerceError(thrown)
    const what = `the processor module ${path} cannot be loaded: ${cause.message}${placeOf(cause)}`
    throw new SetupError(what, remedyFor(cause), { cause })
  }
  const list: unknown[] = Array.isArray(exported) ? exported : [exported]
  return list.map((one) => {
    const wrong = whyNotProcessor(one)
    if (wrong === null) return one as Processor
    throw new SetupError(`${path} does not default-export a processor: ${wrong}`, `${HOW}. ${ELSEWHERE}.`)
  })
}

/** Also that of a module which a compiler made CommonJS of: there the default lies one level deeper. */
function defaultOf(module: unknown): unknown {
  const outer = fieldOf(module, 'default')
  return fieldOf(outer, '__esModule') === true ? fieldOf(outer, 'default') : outer
}

/** Null for a processor, else what it lacks. Other copies of this package make processors too, so no instanceof. */
function whyNotProcessor(value: unknown): string | null {
  if (value === undefined) return 'there is no default export, or it is undefined'
  if (typeof value !== 'object' || value === null) return `it is ${value === null ? 'null' : typeof value}`
  const queue = fieldOf(value, 'queue')
  if (typeof queue !== 'string') return 'it has no queue'
  if (!isQueueName(queue)) return `"${queue}" is no queue name (1 to 43 of a-z, 0-9, _ and -)`
  if (typeof fieldOf(value, 'process') !== 'function') return 'it has no function process'
  if (typeof fieldOf(fieldOf(value, 'payload'), 'safeParseAsync') !== 'function') {
    return 'its payload is no zod schema'
  }
  return null
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** Where in a team's code it was: the head of the stack for a syntax error, else the first frame in a file. */
function placeOf({ stack = '' }: Error): string {
  const [head = ''] = stack.split('\n')
  const place = /^(\S+):(\d+)$/.exec(head) ?? /^ {4}at .*?(file:\/\/[^\s()]+?):(\d+):\d+\)?$/m.exec(stack)
  if (place?.[1] === undefined) return ''
  const path = place[1].startsWith('file:') ? fileURLToPath(place[1]) : place[1]
  return path === fileURLToPath(import.meta.url) ? '' : ` (${path}, line ${place[2]})`
}

function remedyFor(error: Error): string {
  switch (fieldOf(error, 'code')) {
    case 'ERR_MODULE_NOT_FOUND':
      return 'Check the path of that import (with its ending), or install the package: npm install'
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return 'Node only removes types: do without enums, namespaces and parameter properties, or compile the module to JavaScript'
    default:
      return 'Mend the module; to see it alone: node <module>'
  }
}
