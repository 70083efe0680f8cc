/**
 * Arrays of PostgreSQL's own types, as parameters and in results. postgres.js asks each new connection for them, and
 * when the connection is cut just then, nobody can catch the failure: it would end the process. So it is told instead.
 * Arrays of types that a database has made itself are text: cast them (`${list}::text[]::mood[]`).
 */
import type { Sql } from 'postgres'

/** Object ids of a type and of its arrays, the same in every PostgreSQL. */
const ARRAYS: readonly (readonly [number, number])[] = [
  [16, 1000], // boolean
  [17, 1001], // bytea
  [20, 1016], // bigint
  [21, 1005], // smallint
  [23, 1007], // integer
  [25, 1009], // text
  [114, 199], // json
  [700, 1021], // real
  [701, 1022], // double precision
  [869, 1041], // inet
  [1042, 1014], // char(n)
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1083, 1183], // time
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1186, 1187], // interval
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
]

type Parse = (text: string) => unknown
type Serialize = (value: unknown) => unknown

/** Teaches a pool that was opened with `fetch_types: false`. */
export function teachArrays(sql: Sql): Sql {
  const options: unknown = sql.options
  // Its types do not tell of `shared`, from which `sql.array` takes the type of what it is given.
  const { parsers, serializers, shared } = options as {
    parsers: Record<number, Parse>
    serializers: Record<number, Serialize>
    shared: { typeArrayMap: Record<number, number> }
  }
  for (const [element, array] of ARRAYS) {
    shared.typeArrayMap[element] = array
    parsers[array] = (text) => parseArray(text, parsers[element] ?? String)
    serializers[array] = (value) => arrayLiteral(value, serializers[element] ?? String)
  }
  return sql
}

/** The text that PostgreSQL reads as an array. */
export function arrayLiteral(value: unknown, serialize: Serialize): string {
  if (!Array.isArray(value)) return String(value) // a literal already
  const elements = value.map((one: unknown) => {
    if (one === null || one === undefined) return 'null'
    if (Array.isArray(one)) return arrayLiteral(one, serialize)
    return `"${String(serialize(one)).replace(/[\\"]/g, '\\$&')}"`
  })
  return `{${elements.join(',')}}`
}

/** What PostgreSQL prints for an array, nested ones included. Bounds before it (`[0:1]={…}`) are dropped. */
export function parseArray(text: string, parse: Parse): unknown[] {
  const stack: unknown[][] = [[]]
  // An opening or closing brace, a text in quotation marks, or a bare one.
  for (const [token, quoted] of text
    .slice(text.indexOf('{'))
    .matchAll(/[{}]|"([^"\\]*(?:\\.[^"\\]*)*)"|[^{},"]+/gs)) {
    if (token === '{') stack.push([])
    else if (token === '}') {
      const ended = stack.pop() ?? []
      stack.at(-1)?.push(ended)
    } else if (quoted !== undefined) stack.at(-1)?.push(parse(quoted.replace(/\\(.)/gs, '$1')))
    else stack.at(-1)?.push(token === 'NULL' ? null : parse(token))
  }
  const [whole] = stack[0] ?? []
  return Array.isArray(whole) ? whole : []
}
