/** Processors from modules: what is taken, what is left out, and what is said of what cannot be used. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SetupError } from '../../src/errors.ts'
import { loadProcessors, processorModules } from '../../src/processors/modules.ts'

const good = (queue: string) => `{ queue: '${queue}', payload: { safeParseAsync() {} }, process() {} }`
const files: Record<string, string> = {
  'b.mjs': `export default ${good('b')}`,
  'a.mjs': `export default [${good('a1')}, ${good('a2')}]`,
  'c.mts': `const queue: string = 'c'; export default async () => (${good('c')})`,
  'a.test.mjs': `throw new Error('a test is no processor')`,
  'types.d.mts': `export declare const x: number`,
  'notes.txt': 'nothing',
}
const bad: Record<string, string> = {
  'nothing.mjs': 'export const x = 1',
  'name.mjs': `export default ${good('Not A Name')}`,
  'schema.mjs': `export default { queue: 'q', payload: {}, process() {} }`,
  'half.mjs': `export default [${good('q')}, {}]`,
  'syntax.mjs': 'export default {',
  'throws.mjs': `export default () => { throw new Error('no licence') }`,
}

describe('processor modules', () => {
  let folder: string
  let other: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'queue-worker-modules-'))
    other = await mkdtemp(join(tmpdir(), 'queue-worker-modules-'))
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    for (const [name, text] of Object.entries(bad)) await writeFile(join(other, name), text)
  })
  afterAll(async () => {
    for (const one of [folder, other]) await rm(one, { recursive: true })
  })

  test('of a folder are loaded in name order; tests, types and other files are left out', async () => {
    const modules = await processorModules(folder)
    expect(modules).toEqual(['a.mjs', 'b.mjs', 'c.mts'].map((name) => join(folder, name)))
    expect((await loadProcessors(modules)).map(({ queue }) => queue)).toEqual(['a1', 'a2', 'b', 'c'])
  })

  test('may be named by URL', async () => {
    const [processor] = await loadProcessors([pathToFileURL(join(folder, 'b.mjs')).href])
    expect(processor?.queue).toBe('b')
  })

  test.each(Object.keys(bad))('%s is refused by its name', async (name) => {
    const refused = loadProcessors([join(other, name)])
    await expect(refused).rejects.toBeInstanceOf(SetupError)
    await expect(refused).rejects.toThrow(name)
  })

  test('a folder that is not there is told', async () => {
    await expect(processorModules(join(folder, 'nowhere'))).rejects.toBeInstanceOf(SetupError)
  })
})
