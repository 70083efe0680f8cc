/** Renders a file in a thread of its own, from rows that come page by page. */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { coerceError } from '../errors.ts'
import { DoesNotFitError, type Format, type Rendered, type RenderJob } from './job.ts'

/** `lines`: rows as JSON arrays of texts with commas between. */
export type ToThread = { readonly type: 'page'; readonly lines: string } | { readonly type: 'end' }
export type FromThread =
  | { readonly type: 'taken' }
  | { readonly type: 'done'; readonly rendered: Rendered }
  | { readonly type: 'failed'; readonly text: string; readonly final: boolean }

export type Rendering = {
  /** Resolves when the page before this one is in the file: one may wait while the next is fetched. */
  write(lines: string): Promise<void>
  /** The file is whole and on the disk. */
  end(): Promise<Rendered>
  /** Ends the thread, in the middle of its work if need be. The file stays as it is. */
  stop(): Promise<void>
}

/** Little, so that garbage is collected soon; PDF keeps all its rows. What is above this would be a leak. */
const limitsFor = (format: Format) => ({
  maxYoungGenerationSizeMb: 4,
  maxOldGenerationSizeMb: format === 'pdf' ? 512 : 96,
})

/**
 * @throws from `write` and `end`: DoesNotFitError when the format cannot hold the report, Error for everything else,
 * such as a full disk.
 */
export function startRendering(job: RenderJob): Rendering {
  const thread = new Worker(threadEntry(), { workerData: job, resourceLimits: limitsFor(job.format) })
  let broken: Error | null = null
  let answer = Promise.withResolvers<Rendered | null>()
  answer.resolve(null)

  const fail = (error: Error) => {
    broken ??= error
    answer.reject(broken)
  }
  thread.on('message', (message: FromThread) => {
    if (message.type !== 'failed') return answer.resolve(message.type === 'done' ? message.rendered : null)
    fail(message.final ? new DoesNotFitError(message.text) : new Error(message.text))
  })
  thread.on('error', (thrown) => fail(new Error(`rendering failed: ${coerceError(thrown).message}`)))
  thread.on('exit', () => fail(new Error('the thread that renders has ended')))

  /** Posts once the message before has been answered. */
  async function post(message: ToThread): Promise<void> {
    await answer.promise
    if (broken !== null) throw broken
    answer = Promise.withResolvers()
    answer.promise.catch(() => {}) // told by the next call, or by nobody after a stop
    thread.postMessage(message)
  }

  return {
    write: (lines) => post({ type: 'page', lines }),
    async end() {
      await post({ type: 'end' })
      const rendered = await answer.promise
      if (rendered === null) throw new Error('the thread that renders gave no result')
      return rendered
    },
    async stop() {
      await thread.terminate()
    },
  }
}

function threadEntry(): string {
  return fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url),
  )
}
