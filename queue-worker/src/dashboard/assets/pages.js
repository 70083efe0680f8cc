// What pages can do with a script, and do without as well: copying, times in forms, choosing all, and what stays when a page is refreshed.

/** What a person has opened stays open, and what a script has drawn stays, when the page is brought up to date. */
if (window.Idiomorph) {
  const { callbacks } = window.Idiomorph.defaults
  callbacks.beforeNodeMorphed = (old, fresh) =>
    !(old.dataset?.kept !== undefined && old.dataset.kept === fresh.dataset?.kept)
  callbacks.beforeAttributeUpdated = (name, element) =>
    !(
      (name === 'open' && element.localName === 'details') ||
      (name === 'hidden' && element.matches('.copy, #pick-all')) ||
      name === 'data-zone'
    )
}

/** Only the script can copy, or choose all: without it, the buttons are not there. */
function wake() {
  for (const one of document.querySelectorAll('.copy, #pick-all')) one.hidden = false
  for (const input of document.querySelectorAll('input[type=datetime-local]')) tellLocal(input)
}

document.addEventListener('click', async ({ target }) => {
  const button = target.closest?.('.copy')
  if (!button) return
  const { copy, copyFrom } = button.dataset
  const text = copy ?? document.getElementById(copyFrom)?.textContent ?? ''
  const done = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  )
  button.textContent = done ? 'Copied' : 'Not allowed'
  setTimeout(() => {
    button.textContent = 'Copy'
  }, 2000)
})

const boxes = () => [...document.querySelectorAll('input[name=msg_ids]')]

function countChosen() {
  const chosen = boxes().filter(({ checked }) => checked).length
  const all = document.getElementById('pick-all')
  if (all === null) return
  all.checked = chosen > 0 && chosen === boxes().length
  all.indeterminate = chosen > 0 && !all.checked
  document.getElementById('selection')?.setAttribute('data-chosen', String(chosen))
}

document.addEventListener('change', ({ target }) => {
  if (target.id === 'pick-all') for (const box of boxes()) box.checked = target.checked
  if (target.id === 'pick-all' || target.name === 'msg_ids') countChosen()
})

/** Times in forms are in UTC without a script, and in the zone of who looks with it. */
function tellLocal(input) {
  if (input.dataset.zone === 'local') return
  input.dataset.zone = 'local'
  if (input.value !== '') {
    const at = new Date(`${input.value}Z`)
    input.value = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
  }
  const zone = input.form?.querySelector('.zone')
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone
}

document.addEventListener('formdata', ({ target, formData }) => {
  for (const input of target.querySelectorAll('input[type=datetime-local][data-zone]'))
    if (input.value !== '') formData.set(input.name, new Date(input.value).toISOString())
})

document.addEventListener('htmx:afterSwap', wake)
wake()
countChosen()
