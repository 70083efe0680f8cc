/** Whether what was built is what the sources say. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { defineCheck } from '../finding.ts'
import type { Place } from '../parts.ts'

/** Where this folder is, there is a checkout, and not only an install. */
export const SOURCES = 'queue-worker/src'

export const build = defineCheck({
  name: 'build',
  group: 'Files',
  catalog: {
    build_ok: { severity: 'ok', why: '' },
    build_missing: { severity: 'error', why: 'There is no program to start.' },
    build_old: { severity: 'warning', why: 'What is started is older than what you see.' },
  },
  async run({ cwd }: Place, tell) {
    const sources = join(cwd, SOURCES)
    if ((await changedAt(sources)) === null) return [tell('build_ok', 'the program is as it was installed')]
    const builtAt = await changedAt(join(cwd, 'dist/index.js'))
    const how = 'Build it: npm run build'
    if (builtAt === null) return [tell('build_missing', 'there is no dist/index.js', how)]
    const files = await readdir(sources, { recursive: true })
    const times = await Promise.all(files.map((file) => changedAt(join(sources, file))))
    return times.some((time) => time !== null && time > builtAt)
      ? [tell('build_old', `dist is older than ${SOURCES}`, how)]
      : [tell('build_ok', `dist is not older than ${SOURCES}`)]
  },
})

async function changedAt(path: string): Promise<number | null> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => null,
  )
}
