/** The thread that renders one file, so that the worker's heartbeats go on meanwhile. See rendering.ts for its other side. */
import { parentPort, workerData } from 'node:worker_threads'
import { coerceError } from '../errors.ts'
import { garbageWatch } from '../utils/garbage.ts'
import { startCsv } from './csv.ts'
import { openFile } from './file.ts'
import { DoesNotFitError, type Renderer, type RenderJob, type Row, type Sink } from './job.ts'
import { startJson } from './json.ts'
import type { FromThread, ToThread } from './rendering.ts'
import { startXlsx } from './xlsx.ts'

const job: RenderJob = workerData
let rows = 0
/** JSON.parse keeps a table of all the short texts it meets; only a collection of everything makes it small again. */
const passed = garbageWatch(4_000_000)
const tell = (message: FromThread) => parentPort?.postMessage(message)

async function startRenderer(sink: Sink): Promise<Renderer> {
  switch (job.format) {
    case 'csv':
      return startCsv(job, sink)
    case 'json':
      return startJson(job, sink)
    case 'xlsx':
      return startXlsx(job, sink)
    case 'pdf':
      // Only where it is needed: its library is large.
      return (await import('./pdf.ts')).startPdf(job, sink)
  }
}

const opened = openFile(job.path).then(async (file) => ({ file, renderer: await startRenderer(file) }))
opened.catch(() => {}) // told when the first message asks for it

async function handle(message: ToThread): Promise<void> {
  const { file, renderer } = await opened
  if (message.type === 'page') {
    const page: Row[] = JSON.parse(`[${message.lines}]`)
    rows += page.length
    await renderer.write(page)
    passed(message.lines.length)
    tell({ type: 'taken' })
  } else {
    await renderer.end()
    tell({ type: 'done', rendered: { rows, ...(await file.close()) } })
  }
}

parentPort?.on('message', (message: ToThread) => {
  handle(message).catch((thrown: unknown) => {
    const { message: text } = coerceError(thrown)
    tell({ type: 'failed', text, final: thrown instanceof DoesNotFitError })
  })
})
