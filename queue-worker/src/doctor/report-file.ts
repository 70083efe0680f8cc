/** Writes an examination into a dated file. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { coerceError, SetupError } from '../errors.ts'
import type { Examination } from './examination.ts'
import { showMarkdown } from './show.ts'

/** Gives its path. @throws SetupError when it cannot be written. */
export async function writeReport(
  folder: string,
  examination: Examination,
  asJson: boolean,
): Promise<string> {
  const stamp = examination.at.replaceAll(':', '-').replace(/\.\d+/, '')
  const path = join(resolve(folder), `doctor-${stamp}.${asJson ? 'json' : 'md'}`)
  const text = asJson ? `${JSON.stringify(examination, null, 2)}\n` : showMarkdown(examination)
  try {
    await mkdir(resolve(folder), { recursive: true })
    await writeFile(path, text)
  } catch (error) {
    throw new SetupError(
      `the report cannot be written to ${path}: ${coerceError(error).message}`,
      'Name a folder that this user may write to: --report <folder>',
      { cause: error },
    )
  }
  return path
}
