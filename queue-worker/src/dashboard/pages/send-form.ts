/** The form of a test message: a field for each part of its schema, or one for all of it as JSON. */
import type { Issue } from '../../processors/issues.ts'
import { hidden, proof } from '../forms.ts'
import { type Html, html, type Value } from '../html.ts'
import type { Field, Variant } from '../payload-fields.ts'
import { inputOf, WHOLE } from '../payload-values.ts'
import type { Visitor } from '../visitor.ts'

export type SendForm = {
  readonly queue: string
  /** Null: written as JSON. */
  readonly variant: Variant | null
  readonly variants: readonly Variant[]
  readonly typed: URLSearchParams
  readonly issues: readonly Issue[]
  /** The same however often it is sent: it is one message. */
  readonly key: string
  readonly visitor: Visitor
  readonly base: string
}

export function sendForm(form: SendForm): Html {
  const { queue, variant, typed, issues, key, visitor, base } = form
  const at = `${base}/queues/${queue}`
  const names = [...(variant?.fields.map(({ name }) => name) ?? [WHOLE]), 'delay']
  const others = issues.filter((issue) => !names.includes(firstOf(issue)))
  return html`${issues.length > 0 && trouble(others, issues.length)}
<form class="fields send" method="post" action="${at}/send">${proof(visitor)}${hidden([
    ['key', key],
    ['kind', variant === null ? 'json' : variant.name],
  ])}
${variant === null ? wholeField(typed, issues) : fieldsOf(variant, typed, issues)}
${labelled({ name: 'delay', label: 'Delay', help: 'Such as 30s, 5m or 2h. Empty: none.', issues }, (more) => html`<input id="delay" name="delay" value="${typed.get('delay') ?? ''}" class="short"${more}>`)}
<p class="row"><button class="main">Send</button><a class="button" href="${at}">Cancel</a></p></form>`
}

/** Other kinds of message that the queue takes, and JSON. */
export function kindsOf({ queue, variant, variants, base }: SendForm): Html {
  if (variants.length === 0) return html``
  const at = `${base}/queues/${queue}/send`
  const links = [
    ...variants.map(({ name }) => ({
      label: name || 'Fields',
      to: `${at}?kind=${encodeURIComponent(name)}`,
      isHere: variant?.name === name,
    })),
    { label: 'JSON', to: `${at}?kind=json`, isHere: variant === null },
  ]
  return html`<nav class="choices kinds" aria-label="Kinds of message">${links.map(
    ({ label, to, isHere }) => html`<a href="${to}"${isHere && html` aria-current="true"`}>${label}</a>`,
  )}</nav>`
}

function trouble(others: readonly Issue[], howMany: number): Html {
  return html`<div class="notice bad" role="alert"><p>Nothing was sent: ${howMany === 1 ? 'one thing does' : `${howMany} things do`} not fit.</p>${
    others.length > 0 &&
    html`<ul>${others.map(({ field, reason }) => html`<li>${field !== 'payload' && `${field}: `}${reason}</li>`)}</ul>`
  }</div>`
}

/** First what must be given and what is typed already; the rest on demand. */
function fieldsOf({ fields }: Variant, typed: URLSearchParams, issues: readonly Issue[]): Html {
  const isShown = ({ name, isRequired }: Field) =>
    isRequired || typed.has(inputOf(name)) || issues.some((issue) => firstOf(issue) === name)
  const shown = fields.filter(({ kind }) => kind !== 'given')
  const rest = shown.filter((field) => !isShown(field))
  const one = (field: Field) => fieldHtml(field, typed, issues)
  return html`${shown.filter(isShown).map(one)}${
    rest.length > 0 &&
    html`<details><summary>${rest.length === shown.length ? 'Fields' : `${rest.length} more ${rest.length === 1 ? 'field' : 'fields'}`}</summary>${rest.map(one)}</details>`
  }`
}

function fieldHtml(field: Field, typed: URLSearchParams, issues: readonly Issue[]): Html {
  const { name, kind, isRequired, description, options } = field
  const id = inputOf(name)
  const value = typed.get(id) ?? ''
  const hint = kind === 'json' ? 'JSON.' : field.canBeList ? 'Or a list, as JSON: ["…", "…"]' : undefined
  const help = [description, hint].filter((part) => part !== undefined).join(' ')
  return labelled({ name, label: name, help, issues, isRequired }, (more) => {
    const common = html` id="${id}" name="${id}"${more}`
    switch (kind) {
      case 'yesno':
        return select(common, ['true', 'false'], value, isRequired)
      case 'choice':
        return select(common, options.map(String), value, isRequired)
      case 'number':
        return html`<input inputmode="decimal" class="short" value="${value}"${common}>`
      case 'text':
        return html`<input value="${value}"${common}>`
      default:
        return html`<textarea rows="${kind === 'json' ? 3 : 1}" spellcheck="false"${common}>
${value}</textarea>`
    }
  })
}

function select(common: Html, options: readonly string[], value: string, isRequired: boolean): Html {
  return html`<select${common}>${!isRequired && html`<option value="">(left out)</option>`}${options.map(
    (one) => html`<option value="${one}"${one === value && html` selected`}>${one}</option>`,
  )}</select>`
}

function wholeField(typed: URLSearchParams, issues: readonly Issue[]): Html {
  return labelled(
    { name: WHOLE, label: 'Message', help: 'JSON, as the processor is given it.', issues, isRequired: true },
    (
      more,
    ) => html`<textarea id="${inputOf(WHOLE)}" name="${WHOLE}" rows="12" class="whole" spellcheck="false"${more}>
${typed.get(WHOLE) ?? ''}</textarea>`,
  )
}

type Labelled = {
  readonly name: string
  readonly label: string
  readonly help: string
  readonly issues: readonly Issue[]
  readonly isRequired?: boolean
}

/** A label, its input, what it means, and what is wrong with it, tied together for those who do not see. */
function labelled(
  { name, label, help, issues, isRequired = false }: Labelled,
  input: (more: Html) => Value,
): Html {
  const id = name === 'delay' ? 'delay' : inputOf(name)
  const own = issues.filter((issue) => firstOf(issue) === name)
  const described = [help !== '' && `${id}-help`, own.length > 0 && `${id}-wrong`].filter(
    (one) => one !== false,
  )
  const more = html`${described.length > 0 && html` aria-describedby="${described.join(' ')}"`}${own.length > 0 && html` aria-invalid="true"`}${isRequired && html` aria-required="true"`}`
  return html`<div class="field"><label for="${id}">${label}${isRequired && html` <span class="must">required</span>`}</label>${input(more)}${
    own.length > 0 &&
    html`<p class="bad" id="${id}-wrong">${own.map(({ field, reason }) => html`${field !== name && `${field.slice(name.length + 1)}: `}${reason}<br>`)}</p>`
  }${help !== '' && html`<p class="help" id="${id}-help">${help}</p>`}</div>`
}

const firstOf = ({ field }: Issue) => field.split('.')[0] ?? ''
