/**
 * Reads the source of a PL/pgSQL function and tells what its dynamic SQL is made of that could be somebody's text: all but
 * literals, `format` with %I and %L, and %s for what PostgreSQL itself writes in quotes (regclass, quote_ident).
 */

/** A function's own name for values of these types is safe under %s: as text they are quoted names. */
const QUOTED_TYPE = /^(?:pg_catalog\.)?(?:regclass|regprocedure|regtype)$/
/** Ours that return a regclass, a list of names put together with quote_ident, or SQL made of the catalog with everything quoted. */
const QUOTED_CALL =
  /^queue_worker\.(queue_table|archive_table|dead_letter_table|send_target|archive_columns|report_cells|report_aliases|report_call|report_preset)\(/

/** Ours that return a whole statement made of constants and a regclass: what callers give is among its parameters. */
const WHOLE_STATEMENT = /^queue_worker\.page_query\(/

export type Source = {
  readonly source: string
  /** As pg_get_function_identity_arguments gives them. */
  readonly arguments: string
}

/** What is wrong, one sentence each; and how many statements were looked at. */
export function unquotedIn(given: Source): { executes: number; problems: string[] } {
  const source = given.source.replace(/--[^\n]*/g, '')
  const problems: string[] = []
  const starts = [...source.matchAll(/\bexecute\s+(?!on\b|function\b)/gi)].map(
    (match) => match.index + match[0].length,
  )
  for (const start of starts) {
    const rest = source.slice(start)
    const [literal = ''] = /^(?:'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$)/.exec(rest) ?? []
    if (literal !== '' && !/^\s*\|\|/.test(rest.slice(literal.length))) continue
    if (isWhole(/^\w+/.exec(rest)?.[0], source)) continue
    if (!/^(pg_catalog\.)?format\(/.test(rest)) {
      problems.push(`executes ${rest.slice(0, 60)}…, which is neither a literal nor format(…)`)
      continue
    }
    const [template = '', ...values] = splitArguments(rest).parts
    if (!isLiteral(template)) problems.push(`formats ${template.slice(0, 60)}…, which is no literal`)
    for (const value of plainValues(template, values)) {
      if (!isQuoted(value, source, given.arguments)) problems.push(`puts ${value} into SQL with %s`)
    }
  }
  return { executes: starts.length, problems }
}

/** The arguments of `format` that its %s take. */
function plainValues(template: string, values: readonly string[]): string[] {
  const found: string[] = []
  let next = 0
  for (const [, position, kind] of template.matchAll(/%(?:(\d+)\$)?(?:-?\d+)?([sIL%])/g)) {
    if (kind === '%') continue
    const index = position === undefined ? next : Number(position) - 1
    next = index + 1
    if (kind === 's') found.push(values[index] ?? 'nothing')
  }
  return found
}

function isWhole(name: string | undefined, source: string): boolean {
  const [, made = ''] = new RegExp(`\\b${name} := (.*)`).exec(source) ?? []
  return name !== undefined && WHOLE_STATEMENT.test(made)
}

/** A variable that is itself made by `format` of what is quoted, or chosen among literals. */
function isMade(name: string, source: string, parameters: string): boolean {
  const [, made = ''] = new RegExp(`\\b${name} (?:constant )?text := ([^;]*)`).exec(source) ?? []
  if (/^case when /.test(made)) return isQuoted(made, source, parameters)
  if (!/^format\(/.test(made)) return false
  const [template = '', ...values] = splitArguments(made).parts
  return (
    isLiteral(template) && plainValues(template, values).every((one) => isQuoted(one, source, parameters))
  )
}

function isQuoted(value: string, source: string, parameters: string): boolean {
  if (QUOTED_CALL.test(value)) return splitArguments(value).end === value.length
  const chosen = /^case when [\s\S]* then ([\s\S]*) else ([\s\S]*) end$/.exec(value)
  if (chosen !== null) return chosen.slice(1).every((part) => isLiteral(part ?? ''))
  if (!/^\w+$/.test(value)) return false
  const declared = new RegExp(`^\\s*${value}\\s+(?:constant\\s+)?([\\w.]+)`, 'm').exec(source)?.[1]
  const passed = new RegExp(`(?:^|, )${value} ([\\w.]+)`).exec(parameters)?.[1]
  if (QUOTED_TYPE.test(declared ?? passed ?? '')) return true
  if (isMade(value, source, parameters)) return true
  return new RegExp(`string_agg\\(quote_ident\\([^;]*\\binto ${value}\\b`).test(source)
}

function isLiteral(text: string): boolean {
  return /^(?:'(?:[^']|'')*'|\$(\w*)\$[\s\S]*\$\1\$)$/.test(text.trim())
}

/** What stands between the first bracket and the one that closes it, split at commas; and where that is. */
function splitArguments(text: string): { parts: string[]; end: number } {
  const parts: string[] = []
  let part = ''
  let depth = 0
  for (let at = text.indexOf('(') + 1; at < text.length; ) {
    const [literal] = /^(?:'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$)/.exec(text.slice(at)) ?? []
    const token = literal ?? text.charAt(at)
    at += token.length
    const isEnd = token === ')' && depth === 0
    if (isEnd || (token === ',' && depth === 0)) {
      parts.push(part.trim())
      part = ''
    } else part += token
    if (isEnd) return { parts, end: at }
    if (token === '(' || token === '[') depth += 1
    if (token === ')' || token === ']') depth -= 1
  }
  return { parts, end: -1 }
}
