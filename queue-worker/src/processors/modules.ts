/** Loads processors from modules: the product's own and those of a team's PROCESSORS folder. */
import { readdir } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { coerceError, SetupError } from '../errors.ts'
import { isQueueName } from '../queue/sends.ts'
import type { Processor } from './define.ts'

const CODE = new Set(['.js', '.mjs', '.ts', '.mts'])

/** The modules of a folder, in name order; tests and type declarations are left out. */
export async function processorModules(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder)
    return names
      .filter((name) => CODE.has(extname(name)) && !/\.(d|test|spec)\.m?[jt]s$/.test(name))
      .sort()
      .map((name) => resolve(join(folder, name)))
  } catch (error) {
    throw new SetupError(
      `the folder of processors cannot be read: ${coerceError(error).message}`,
      'Set PROCESSORS to a folder of modules that default-export a processor, or unset it',
    )
  }
}

/**
 * Imports modules whose default export is a processor, an array of them, or a function that returns either.
 * @throws SetupError naming the module that cannot be imported or exports something else.
 */
export async function loadProcessors(modules: readonly string[]): Promise<Processor[]> {
  const loaded: Processor[] = []
  for (const path of modules) loaded.push(...(await loadModule(path)))
  return loaded
}

async function loadModule(path: string): Promise<Processor[]> {
  let exported: unknown
  try {
    const module: { default?: unknown } = await import(
      path.startsWith('file:') ? path : pathToFileURL(path).href
    )
    exported = typeof module.default === 'function' ? await module.default() : module.default
  } catch (error) {
    if (error instanceof SetupError) throw error
    const cause = coerceError(error)
    throw new SetupError(
      `the processor module ${path} cannot be loaded: ${cause.message}`,
      'Mend the module',
      { cause },
    )
  }
  const list = Array.isArray(exported) ? exported : [exported]
  for (const one of list) {
    if (!isProcessor(one)) {
      throw new SetupError(
        `${path} does not default-export a processor`,
        'End the module with: export default defineProcessor({ queue, payload, process })',
      )
    }
  }
  return list
}

function isProcessor(value: unknown): value is Processor {
  return (
    typeof value === 'object' &&
    value !== null &&
    'queue' in value &&
    typeof value.queue === 'string' &&
    isQueueName(value.queue) &&
    'process' in value &&
    typeof value.process === 'function' &&
    'payload' in value &&
    typeof value.payload === 'object' &&
    value.payload !== null &&
    'safeParseAsync' in value.payload
  )
}
