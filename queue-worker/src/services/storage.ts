/** Where finished files are kept: a folder (file-folder.ts) or a bucket of Supabase Storage (supabase-storage.ts). */

export type FileStorage = {
  readonly kind: 'folder' | 'bucket'
  /**
   * A path for making a file of this name, not taken yet. Removes what earlier tries of the same name left behind, and what
   * anybody left behind more than a day ago.
   */
  begin(name: string): Promise<string>
  /**
   * Puts the file at `path` in its place, over an earlier one of this name, and removes `path`. Nobody ever sees half a
   * file. Returns where it is, for people. Throws StorageError.
   */
  publish(path: string, name: string, contentType: string): Promise<string>
  /** Removes what was begun and is not wanted any more; never throws. */
  discard(path: string): Promise<void>
  /** The size of a file in its place, in bytes; null when there is none. */
  size(name: string): Promise<number | null>
  read(name: string): Promise<Buffer>
  /** An address under which anybody can fetch the file for that long; null where there is none. */
  link(name: string, seconds: number, options?: { readonly opens?: boolean }): Promise<string | null>
  close(): Promise<void>
}

/**
 * What a storage said. `final`: the same again is refused again. `isOutage`: every file would be refused now. `retryAfterSeconds`: when it
 * asked for patience.
 */
export class StorageError extends Error {
  override readonly name: string = 'StorageError'
  readonly final: boolean
  readonly isOutage: boolean
  readonly retryAfterSeconds: number | undefined
  constructor(
    message: string,
    options: ErrorOptions & {
      final?: boolean
      isOutage?: boolean
      retryAfterSeconds?: number | undefined
    } = {},
  ) {
    super(message, options)
    this.final = options.final ?? false
    this.isOutage = options.isOutage ?? false
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}
