/** Texts of others for a terminal: no control character reaches it, so that none can move the cursor, hide a line or turn one round. */

/** Keeps line breaks and tabs. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu, '\uFFFD')
}

/** The first line, and no more of it than this. */
export function firstLine(text: string, most: number): string {
  const [line = ''] = printable(text).replaceAll('\t', ' ').split('\n')
  return line.length <= most ? line : `${line.slice(0, most - 1).toWellFormed()}…`
}
