/** What a rendering is told, and what it tells. Plain data, as it goes to a thread and back. */

export const FORMATS = ['csv', 'xlsx', 'pdf', 'json'] as const
export type Format = (typeof FORMATS)[number]

/** A column as the database declares it: `type` in PostgreSQL's words, "timestamp with time zone". */
export type Column = { readonly name: string; readonly type: string }

/** A row as the database prints it: one text a column, null for NULL. */
export type Row = readonly (string | null)[]

export type RenderJob = {
  readonly format: Format
  /** The file to write; it must not be there yet. */
  readonly path: string
  readonly columns: readonly Column[]
  readonly title: string
  /** Lines below the title: what the report is about, its period, its parameters. */
  readonly lines: readonly string[]
  readonly chart: Chart | null
  readonly csv: { readonly bom: boolean; readonly delimiter: string }
  /** TrueType fonts for PDF instead of the ones that come with the product. */
  readonly fontFile: string | undefined
}

/** What a report asks to be drawn: the sum of each column in `values` for each value of `label`. */
export type Chart = {
  readonly kind: 'bar' | 'line'
  readonly label: string
  readonly values: readonly string[]
}

export type Rendered = { readonly rows: number; readonly bytes: number; readonly sha256: string }

/** Writes one file. `write` is never called while an earlier one is still under way. */
export type Renderer = {
  write(rows: readonly Row[]): Promise<void>
  end(): Promise<void>
}

/** Where a renderer's bytes go; resolves when more are welcome. */
export type Sink = { write(chunk: string | Uint8Array): Promise<void> }

/** The report fits into no file of this format: trying again does not help. */
export class DoesNotFitError extends Error {
  override readonly name: string = 'DoesNotFitError'
}
