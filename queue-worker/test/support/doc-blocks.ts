/** The pages of documentation and the blocks of code in them. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './cli.ts'

export type Block = {
  readonly page: string
  readonly line: number
  /** What stands behind its fence: `sql`, `ts`, …; empty for what is only to be looked at. */
  readonly language: string
  readonly text: string
}

export const PAGES = ['README.md', ...globSync('docs/**/*.md', { cwd: projectRoot })].sort()

export const pageText = (page: string) => readFileSync(join(projectRoot, page), 'utf8')

/** Of a block within a list its indentation is taken away. */
export function blocksOf(page: string): Block[] {
  const text = pageText(page)
  return [...text.matchAll(/^( *)```(.*)\n([\s\S]*?)^ *```$/gm)].map((match) => {
    const [, indent = '', language = '', body = ''] = match
    const line = text.slice(0, match.index).split('\n').length
    return { page, line, language, text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), '') }
  })
}

/** Without its blocks of code: what is read as prose. */
export const proseOf = (page: string) => pageText(page).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')

/** What stands between backticks in it. */
export const codeInProse = (page: string) =>
  [...proseOf(page).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll(/\s+/g, ' '))

export const blocksIn = (language: string) =>
  PAGES.flatMap(blocksOf).filter((block) => block.language.split(' ')[0] === language)
