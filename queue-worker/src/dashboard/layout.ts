/** The frame of every page: head, navigation, main part. */
import { type Html, html } from './html.ts'
import type { Visitor } from './visitor.ts'

export type Frame = {
  readonly base: string
  readonly title: string
  readonly body: Html
  readonly visitor: Visitor | null
  /** Where this page is, below base, with its query: asked for again while somebody looks. Null: it stands still. */
  readonly liveAt: string | null
  readonly sections: readonly Section[]
}

/** An entry of the navigation. */
export type Section = {
  readonly path: string
  readonly name: string
  /** Only shown where the pages have this to stand on. */
  readonly needs?: 'mails'
}

/** No inline script or style anywhere: the policy forbids them. htmx needs neither. */
const HTMX =
  '{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyEnabled":false}'

export function layout({ base, title, body, visitor, liveAt, sections }: Frame): string {
  const live =
    liveAt !== null &&
    html` hx-get="${base}${liveAt}" hx-trigger="refresh" hx-select="main" hx-swap="morph:outerHTML"`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta name="htmx-config" content="${HTMX}">
<title>${title} · queue-worker</title>
<link rel="icon" href="${base}/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${base}/assets/uplot.css">
<link rel="stylesheet" href="${base}/assets/dashboard.css">
<link rel="stylesheet" href="${base}/assets/pages.css">
<link rel="stylesheet" href="${base}/assets/actions.css">
<script src="${base}/assets/htmx.js" defer></script>
<script src="${base}/assets/idiomorph.js" defer></script>
<script src="${base}/assets/uplot.js" defer></script>
<script src="${base}/assets/dashboard.js" defer></script>
<script src="${base}/assets/pages.js" type="module"></script>
<script src="${base}/assets/charts.js" type="module"></script>
</head>
<body hx-ext="morph">
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<a class="brand" href="${base}/">queue-worker</a>
${visitor !== null && html`<nav aria-label="Main">${sections.map(({ path, name }) => html`<a href="${base}${path}">${name}</a>`)}</nav>`}
<p class="live" id="live-state" role="status" aria-live="off"></p>
${visitor !== null && corner(base, visitor)}
</header>
<main id="main" tabindex="-1"${live}>
${body}
</main>
</body>
</html>
`.html
}

function corner(base: string, { name, role, csrf, canLogOut }: Visitor): Html {
  return html`<div class="corner"><span>${name}${role === 'viewer' && html` <span class="badge">read-only</span>`}</span>
${canLogOut && html`<form method="post" action="${base}/logout"><input type="hidden" name="csrf" value="${csrf}"><button class="quiet">Log out</button></form>`}</div>`
}
