/** Takes out of a payload what is not for everybody's eyes. Pure. */
import type { FieldSchema } from '../processors/sensitive.ts'

/** Stands where a sensitive value was. */
export const HIDDEN = Symbol('hidden')

/** Names that say it themselves, whatever the schema says of them; `sensitive: false` there says that this one is none. */
const TELLING =
  /(^|_)(pass(word|wd|phrase)?|pwd|secret|token|authorization|cookies?|api_?keys?|private_key|credentials?|otp|cvv|cvc|card_number|iban|ssn)$/
/** As `#>>` takes it: also from the end, and with blanks before it. */
const INDEX = /^\s*[+-]?\d+$/
/** Deeper than anything a person writes; who writes deeper may mean to break this. */
const MAX_DEPTH = 100

export type Mask = (value: unknown) => unknown

/** With no schema there is nobody to say what is sensitive, beside names. */
export function createMask(root: FieldSchema = {}): Mask {
  return (value) => masked(value, [root], 0)

  function masked(value: unknown, schemas: readonly unknown[], depth: number): unknown {
    const nodes = depth > MAX_DEPTH ? [] : schemas.flatMap((schema) => expanded(schema, root, new Set()))
    if (depth > MAX_DEPTH || nodes.some(({ sensitive }) => sensitive === true)) return HIDDEN
    if (Array.isArray(value))
      return value.map((one, index) =>
        masked(
          one,
          nodes.flatMap((node) => itemsOf(node, index)),
          depth + 1,
        ),
      )
    if (typeof value !== 'object' || value === null) return value
    // Entries, not keys to assign: a payload may well have a key __proto__.
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => {
        const below = nodes.flatMap((node) => propertiesOf(node, key))
        const isPlain = below.some((schema) => isObject(schema) && schema.sensitive === false)
        return [key, saysItself(key) && !isPlain ? HIDDEN : masked(one, below, depth + 1)]
      }),
    )
  }
}

/** Whether something of this field is hidden, so that it may not be searched for either. */
export function isHidden(mask: Mask, path: readonly string[]): boolean {
  const probe = path.reduceRight<unknown>((below, key) => (INDEX.test(key) ? [below] : { [key]: below }), '')
  return holdsHidden(mask(probe))
}

export function holdsHidden(value: unknown): boolean {
  if (value === HIDDEN) return true
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsHidden)
}

function saysItself(key: string): boolean {
  return TELLING.test(
    key
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .replaceAll('-', '_')
      .toLowerCase(),
  )
}

/** A schema with all those it stands for. */
function expanded(schema: unknown, root: FieldSchema, seen: Set<unknown>): FieldSchema[] {
  if (!isObject(schema) || seen.has(schema)) return []
  seen.add(schema)
  const others = [schema.anyOf, schema.oneOf, schema.allOf].flatMap((list) =>
    Array.isArray(list) ? list : [],
  )
  if (typeof schema.$ref === 'string') others.push(referred(schema.$ref, root))
  return [schema, ...others.flatMap((other) => expanded(other, root, seen))]
}

/** "#" or "#/$defs/name". */
function referred(ref: string, root: FieldSchema): unknown {
  const steps = ref.replace(/^#\/?/, '').split('/').filter(Boolean)
  return steps.reduce<unknown>((at, step) => (isObject(at) ? at[step] : undefined), root)
}

function propertiesOf({ properties, patternProperties, additionalProperties }: FieldSchema, key: string) {
  if (isObject(properties) && Object.hasOwn(properties, key)) return [properties[key]]
  const patterns = isObject(patternProperties) ? Object.entries(patternProperties) : []
  const fitting = patterns
    .filter(([pattern]) => new RegExp(pattern, 'u').test(key))
    .map(([, schema]) => schema)
  return fitting.length > 0 ? fitting : [additionalProperties]
}

function itemsOf({ prefixItems, items }: FieldSchema, index: number): unknown[] {
  return [Array.isArray(prefixItems) && index < prefixItems.length ? prefixItems[index] : items]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
