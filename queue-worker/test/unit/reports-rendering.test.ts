/** The thread that renders: the loop of the worker goes on, errors come back, half files are told from whole ones. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RenderJob } from '../../src/reports/job.ts'
import { startRendering } from '../../src/reports/rendering.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'queue-worker-rendering-'))
})
afterAll(() => rm(folder, { recursive: true }))

const job = (name: string): RenderJob => ({
  format: 'json',
  path: join(folder, name),
  columns: [{ name: 'a', type: 'text' }],
  title: 'T',
  lines: [],
  chart: null,
  csv: { bom: false, delimiter: ',' },
  fontFile: undefined,
})

test('while a thread is busy with a page, this one is not', async () => {
  const rendering = startRendering(job('busy'))
  await rendering.write('["first"]')
  const many = Array.from({ length: 300_000 }, (_, n) => `["${n}"]`).join(',')
  await rendering.write(many)
  let turns = 0
  const counting = setInterval(() => {
    turns += 1
  }, 1)
  // Had this thread to render, its timer would get no turn before the end.
  const rendered = await rendering.end()
  clearInterval(counting)
  await rendering.stop()
  expect(rendered.rows).toBe(300_001)
  expect(turns).toBeGreaterThan(5)
})

test('what goes wrong in the thread is told by the next call', async () => {
  await writeFile(join(folder, 'taken'), '')
  const taken = startRendering(job('taken'))
  await taken.write('["x"]')
  await expect(taken.write('["y"]')).rejects.toThrow(/EEXIST/)
  await expect(taken.end()).rejects.toThrow(/EEXIST/)
  await taken.stop()
  const broken = startRendering(job('broken'))
  await broken.write('["x"')
  await expect(broken.end()).rejects.toThrow(/JSON/)
  await broken.stop()
})

test('a thread that was stopped gives no result', async () => {
  const rendering = startRendering(job('stopped'))
  await rendering.write('["x"]')
  await rendering.stop()
  await expect(rendering.end()).rejects.toThrow(/has ended/)
  expect(await readFile(join(folder, 'stopped'), 'utf8').catch(() => '')).not.toContain(']\n')
})
