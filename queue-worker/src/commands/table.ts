/** Plain text tables. Pure. */

/**
 * Columns are as wide as their widest cell; those whose index is in `right` are aligned right. What others wrote may be in
 * a cell: no control character gets through.
 */
export function table(
  head: readonly string[],
  given: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const rows = given.map((row) => row.map((cell) => cell.replace(/\p{C}+/gu, ' ')))
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}
