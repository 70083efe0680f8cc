/** Paths below the dashboard that somebody else wrote: into a link, a form or the header of a proxy. Pure. */

const MOST = 2000

/** Where somebody wanted to go, if it is a place of ours; else the first page. */
export function ownPath(text: string | null | undefined): string {
  const here = 'http://here'
  // As it is written, not as something makes of it: no host, no way up, nothing that is cut away.
  const url = text && text.length <= MOST && /^\/(?![/\\])/.test(text) ? URL.parse(text, here) : null
  if (url === null || url.origin !== here || `${url.pathname}${url.search}` !== text) return '/'
  return /^\/(login|logout)$/.test(url.pathname) ? '/' : text
}

/** What a proxy took away from the front of the path; nothing where that is no plain path. */
export function plainPrefix(text: string | undefined): string {
  const prefix = (text ?? '').replace(/\/+$/, '')
  const isPlain =
    prefix.length <= 200 && /^(\/[A-Za-z0-9._~-]+)+$/.test(prefix) && !/\/\.{1,2}(\/|$)/.test(prefix)
  return isPlain ? prefix : ''
}
