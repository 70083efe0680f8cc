/** The scripts and styles of the pages: ours as they lie in assets/, those of libraries as they come with them. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => fileURLToPath(new URL(`assets/${name}`, import.meta.url))

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'

/** Looked up when asked for: a worker without a dashboard does not need them. */
const ASSETS: Readonly<Record<string, { readonly type: string; readonly path: () => string }>> = {
  'dashboard.css': { type: STYLE, path: () => own('dashboard.css') },
  'pages.css': { type: STYLE, path: () => own('pages.css') },
  'actions.css': { type: STYLE, path: () => own('actions.css') },
  'dashboard.js': { type: SCRIPT, path: () => own('dashboard.js') },
  'pages.js': { type: SCRIPT, path: () => own('pages.js') },
  'charts.js': { type: SCRIPT, path: () => own('charts.js') },
  'icon.svg': { type: 'image/svg+xml', path: () => own('icon.svg') },
  'htmx.js': { type: SCRIPT, path: () => resolve('htmx.org/dist/htmx.min.js') },
  'idiomorph.js': { type: SCRIPT, path: () => resolve('idiomorph/dist/idiomorph-ext.min.js') },
  'uplot.js': { type: SCRIPT, path: () => resolve('uplot/dist/uPlot.iife.min.js') },
  'uplot.css': { type: STYLE, path: () => resolve('uplot/dist/uPlot.min.css') },
}

/** Asked for again each time, by its hash: after an update nobody sees old scripts with new pages. False: there is none of that name. */
export async function answerAsset(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const asset = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined
  if (asset === undefined) return false
  const body = await readFile(asset.path())
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 20)}"`
  const isKnown = request.headers['if-none-match'] === tag
  response.writeHead(isKnown ? 304 : 200, {
    'content-type': asset.type,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    etag: tag,
  })
  response.end(isKnown ? undefined : body)
  return true
}
