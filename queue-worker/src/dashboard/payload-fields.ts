/** The fields of a form for a message, made from its processor's schema. */
import { z } from 'zod'
import type { Processor } from '../processors/define.ts'

export type Field = {
  readonly name: string
  /** `given`: there is one value only. `json`: whatever is too free or too deep for a field of its own. */
  readonly kind: 'text' | 'lines' | 'number' | 'yesno' | 'choice' | 'given' | 'json'
  readonly isRequired: boolean
  readonly description: string | undefined
  /** Of a choice, and the one of what is given. */
  readonly options: readonly unknown[]
  /** A text that may be a list as well, written as JSON. */
  readonly canBeList: boolean
}

/** A kind of message: a schema may take several, told apart by a field that is given. */
export type Variant = { readonly name: string; readonly fields: readonly Field[] }

type Schema = z.core.JSONSchema.JSONSchema

/** Empty: its schema does not say what it takes; then a message is written as JSON. */
export function variantsOf(payload: Processor['payload']): readonly Variant[] {
  const schema = schemaOf(payload)
  const kinds = (schema?.oneOf ?? schema?.anyOf ?? [schema]).map(plain)
  const variants = kinds.map((kind) => variantOf(kind))
  const isWhole = variants.every((one) => one.fields.length > 0 && (kinds.length === 1 || one.name !== ''))
  return isWhole ? variants : []
}

function schemaOf(payload: Processor['payload']): Schema | undefined {
  try {
    return z.toJSONSchema(payload, { io: 'input', unrepresentable: 'any' })
  } catch {
    // A schema of a project's own may hold what JSON Schema cannot say.
    return undefined
  }
}

function variantOf({ type, properties, required = [] }: Schema): Variant {
  if (type !== 'object' || properties === undefined) return { name: '', fields: [] }
  const fields = Object.entries(properties).map(([name, one]) =>
    fieldOf(name, plain(one), required.includes(name)),
  )
  const [given] = fields.filter(({ kind }) => kind === 'given')
  return { name: given === undefined ? '' : String(given.options[0]), fields }
}

function fieldOf(name: string, whole: Schema, isRequired: boolean): Field {
  const choices = flat(whole).filter(({ type }) => type !== 'null')
  const [only] = choices
  const common = { name, isRequired, description: whole.description ?? only?.description }
  const field = (kind: Field['kind'], options: readonly unknown[] = [], canBeList = false): Field => ({
    ...{ ...common, kind, options, canBeList },
  })
  if (choices.length === 1 && only !== undefined) {
    if (only.const !== undefined) return field('given', [only.const])
    if (only.enum !== undefined) return field('choice', only.enum)
    const types = [only.type].flat().filter((type) => type !== undefined && type !== 'null')
    if (types.length === 1) {
      if (types[0] === 'boolean') return field('yesno')
      if (types[0] === 'number' || types[0] === 'integer') return field('number')
      if (types[0] === 'string')
        return field(
          only.maxLength === undefined && only.pattern === undefined && only.format === undefined
            ? 'lines'
            : 'text',
        )
    }
  }
  // "a@b.example" or ["a@b.example", …]; 1999 or "1999".
  const isText = choices.some(({ type, enum: some }) => type === 'string' && some === undefined)
  const isSimple = choices.every(({ type }) =>
    ['string', 'integer', 'number', 'array'].includes(String(type)),
  )
  if (isText && isSimple)
    return field(
      'text',
      [],
      choices.some(({ type }) => type === 'array'),
    )
  return field('json')
}

/** All that it may be, without the boxes within boxes that optional parts make. */
function flat(schema: Schema): Schema[] {
  const inner = schema.anyOf ?? schema.oneOf
  return inner === undefined ? [schema] : inner.map(plain).flatMap(flat)
}

const plain = (schema: Schema | boolean | undefined): Schema => (typeof schema === 'object' ? schema : {})
