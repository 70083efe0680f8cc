/** The commands of a page of documentation, one for each line of its `sh` blocks, without their comments. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './cli.ts'

export function commandsOf(page: string): string[] {
  const text = readFileSync(join(projectRoot, page), 'utf8')
  const blocks = [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, block = '']) => block)
  return blocks
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .map((line) => line.replace(/(^|\s)#\s.*$/, '').trim())
    .filter((line) => line !== '')
}
