/** The file of a report: the same name for every delivery of a message, so that there is never a second one. */
import { createHash } from 'node:crypto'
import type { Format } from '../reports/job.ts'

const TYPES: Readonly<Record<Format, string>> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
  pdf: 'application/pdf',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
}

/** "daily_volume-3f2a….csv". An origin key that a producer made up may hold anything; then its hash stands for it. */
export function fileNameOf(
  { report, format }: { report: string; format: Format },
  originKey: string,
): string {
  const key = /^[0-9a-f]{32}$/.test(originKey)
    ? originKey
    : createHash('sha256').update(originKey).digest('hex').slice(0, 32)
  return `${report}-${key}.${format}`
}

export function contentTypeOf(format: Format): string {
  return TYPES[format]
}
