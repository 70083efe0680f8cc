/** HTML that is safe by construction: whatever is put into a template is escaped, unless it is HTML already. */

/** Made by `html` alone. */
export type Html = { readonly html: string }
export type Value = Html | string | number | bigint | null | undefined | false | readonly Value[]

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Values may stand in text and within quoted attributes, nowhere else. Nothing is written for null, undefined and false. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const [first = '', ...others] = strings
  return { html: first + others.map((text, index) => shown(values[index]) + text).join('') }
}

function shown(value: Value): string {
  if (value === null || value === undefined || value === false) return ''
  if (typeof value === 'object') return 'html' in value ? value.html : value.map(shown).join('')
  return String(value).replace(/[&<>"']/g, (one) => ESCAPES[one] ?? '')
}
