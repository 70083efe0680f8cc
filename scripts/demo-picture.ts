/**
 * Writes docs/images/demo.svg, the picture in the README: `npm run docs:pictures`. It runs the demo in an empty folder and
 * draws what it said as text, so that it can be read, searched and compared; a test compares it with the demo of today.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TITLE = 'npm run demo'
const FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
const SIZE = 13
/** Of one character, in most of these fonts. */
const WIDTH = 7.83
const LINE = 19
const MARGIN = 24
const HEAD = 44

/** In the order in which they are tried. */
const COLORS: Readonly<Record<string, RegExp>> = {
  rule: /─+/,
  bad: /dead letter: \w+|(?<= )failed|card_declined: .*/,
  good: /(?<= )(?:sent(?= )|succeeded|authorized|partially_refunded|confirmed, and read back|a file of \d+ rows|signature verified)/,
  name: /^\S+(?= +\d+ {2}\S)|^order-\d+(?= {2})/,
}
const ANY = new RegExp(
  Object.entries(COLORS)
    .map(([name, { source }]) => `(?<${name}>${source})`)
    .join('|'),
  'g',
)

export function demoPicture(output: string): string {
  // What follows are paths on one machine.
  const [shown = ''] = output.split('\nFiles to open:')
  const lines = shown.trimEnd().split('\n')
  const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * WIDTH) + 2 * MARGIN
  const height = HEAD + lines.length * LINE + MARGIN
  const texts = lines.map((line, index) => text(line, HEAD + (index + 1) * LINE)).filter((one) => one !== '')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="The output of ${TITLE}">
<style>
text { font-size: ${SIZE}px; font-family: ${FONT}; fill: #d5dbe3 }
.rule { fill: #4b5563 } .bad { fill: #f58f86 } .good { fill: #7fd99a } .name { fill: #86b7fe } .title { fill: #8b949e }
</style>
<rect width="${width}" height="${height}" rx="10" fill="#12161c"/>
<circle cx="${MARGIN}" cy="22" r="6" fill="#ff5f57"/><circle cx="${MARGIN + 20}" cy="22" r="6" fill="#febc2e"/><circle cx="${MARGIN + 40}" cy="22" r="6" fill="#28c840"/>
<text class="title" x="${MARGIN + 64}" y="26.5">$ ${TITLE}</text>
${texts.join('\n')}
</svg>
`
}

/** Each piece at its column, so that columns stand whatever font is there. */
function text(line: string, y: number): string {
  return piecesOf(line)
    .map(({ at, words, color }) => {
      const x = (MARGIN + at * WIDTH).toFixed(1)
      return `<text${color === '' ? '' : ` class="${color}"`} x="${x}" y="${y}">${escaped(words)}</text>`
    })
    .join('')
}

type Piece = { readonly at: number; readonly words: string; readonly color: string }

function piecesOf(line: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  const plain = (until: number) => {
    for (const { index, 0: words } of line.slice(end, until).matchAll(/\S+(?: \S+)*/g))
      pieces.push({ at: end + index, words, color: '' })
  }
  for (const match of line.matchAll(ANY)) {
    const [color = ''] = Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined) ?? []
    plain(match.index)
    pieces.push({ at: match.index, words: match[0], color })
    end = match.index + match[0].length
  }
  plain(line.length)
  return pieces
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** What is written in such a picture, line by line. */
export function writtenIn(picture: string): string {
  const lines = picture.split('\n').filter((line) => /^<text[^>]* x="[\d.]+" y="\d+">/.test(line))
  return lines
    .map((line) => {
      let written = ''
      for (const [, x = '', words = ''] of line.matchAll(/ x="([\d.]+)" y="\d+">([^<]*)</g)) {
        const at = Math.round((Number(x) - MARGIN) / WIDTH)
        written = written.padEnd(at) + words.replaceAll('&lt;', '<').replaceAll('&amp;', '&')
      }
      return written
    })
    .join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cwd = mkdtempSync(join(tmpdir(), 'queue-worker-picture-'))
  try {
    // As root, PostgreSQL runs as another user, who has to get in.
    chmodSync(cwd, 0o755)
    const program = fileURLToPath(new URL('../dist/index.js', import.meta.url))
    const output = execFileSync(process.execPath, [program, 'demo'], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    writeFileSync(new URL('../docs/images/demo.svg', import.meta.url), demoPicture(output))
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}
