// Keeps pages that live up to date, and tells times where the person is. Everything works without it as well.

const REFRESH_MS = 5000
const state = document.getElementById('live-state')
const main = () => document.getElementById('main')

/** Somebody types, chooses or has opened something: nothing may move under their hands. */
function isBusy() {
  const { activeElement } = document
  const types =
    activeElement?.matches('input:not([type=checkbox]), select, textarea') && main()?.contains(activeElement)
  return (
    document.hidden ||
    Boolean(types) ||
    document.querySelector('main input[type=checkbox]:checked, dialog[open]') !== null
  )
}

function refresh() {
  const page = main()
  if (!page?.hasAttribute('hx-get')) return
  if (isBusy()) state.textContent = document.hidden ? '' : 'paused while you type'
  else window.htmx.trigger(page, 'refresh')
}

setInterval(refresh, REFRESH_MS)
document.addEventListener('visibilitychange', refresh)
document.addEventListener('htmx:afterRequest', ({ detail }) => {
  if (detail.elt !== main()) return
  state.textContent = detail.successful ? 'live' : 'no answer'
})
// A refusal is a page as well: show what it says.
document.addEventListener('htmx:beforeSwap', ({ detail }) => {
  if (detail.xhr.status >= 400) {
    detail.shouldSwap = true
    detail.isError = false
  }
  // What is done in bites ends with a page of its own: go there, so that the address is right.
  const { verb, path } = detail.requestConfig
  if (verb === 'post' && new URL(detail.xhr.responseURL).pathname !== new URL(path, location.href).pathname) {
    detail.shouldSwap = false
    location.assign(detail.xhr.responseURL)
  }
})

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** Times are written in UTC; here they are told in the zone of who looks, with both in the tooltip. */
function tellTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime)
    if (Number.isNaN(at.getTime())) continue
    const utc = `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
    time.title = `${moments.format(at)}\n${utc}`
    if (!time.hasAttribute('data-relative')) time.textContent = moments.format(at)
  }
}

/** The section of this page in the navigation. */
function markSection() {
  const here = location.pathname
  for (const link of document.querySelectorAll('.top nav a')) {
    const path = new URL(link.href).pathname
    const isRoot = link === document.querySelector('.top nav a')
    const isHere = isRoot ? here === path || here.startsWith(`${path}queues/`) : here.startsWith(path)
    if (isHere) link.setAttribute('aria-current', 'page')
  }
}

document.addEventListener('htmx:afterSwap', () => tellTimes(document))
tellTimes(document)
markSection()
if (main()?.hasAttribute('hx-get')) state.textContent = 'live'
