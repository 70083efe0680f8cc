/** The file a renderer writes: in large pieces, counted and summed up on the way. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Sink } from './job.ts'

const PIECE = 65_536

export type OpenFile = Sink & {
  /** Makes it last over a power cut, and closes it. */
  close(): Promise<{ bytes: number; sha256: string }>
}

/** Throws when there is such a file already. */
export async function openFile(path: string): Promise<OpenFile> {
  const file = await open(path, 'wx')
  const hash = createHash('sha256')
  // One buffer for all: what is allocated for every piece stays for long, as its memory does not count where garbage is watched.
  const buffer = new Uint8Array(PIECE)
  const encoder = new TextEncoder()
  let filled = 0
  let bytes = 0

  async function flush(): Promise<void> {
    const piece = buffer.subarray(0, filled)
    hash.update(piece)
    // May write less than it was given, at a disk that is nearly full for one.
    for (let done = 0; done < filled; ) done += (await file.write(piece, done)).bytesWritten
    bytes += filled
    filled = 0
  }

  async function writeText(text: string): Promise<void> {
    for (let at = 0; at < text.length; ) {
      const { read, written } = encoder.encodeInto(text.slice(at), buffer.subarray(filled))
      at += read
      filled += written
      if (at < text.length || filled > PIECE - 4) await flush()
    }
  }

  async function writeBytes(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + PIECE - filled)
      buffer.set(part, filled)
      at += part.length
      filled += part.length
      if (filled === PIECE) await flush()
    }
  }

  return {
    write: (chunk) => (typeof chunk === 'string' ? writeText(chunk) : writeBytes(chunk)),
    async close() {
      try {
        await flush()
        await file.sync()
      } finally {
        await file.close()
      }
      return { bytes, sha256: hash.digest('hex') }
    },
  }
}
