/**
 * Which fields of a payload are not for everybody's eyes: those that its schema marks with `.meta({ sensitive: true })`.
 * A schema is read as JSON Schema, so that a mark is found wherever it stands: below lists, unions, optional and transformed fields.
 */
import { z } from 'zod'

/** The part of JSON Schema that says what belongs to a value, and whether it is sensitive. */
export type FieldSchema = {
  readonly sensitive?: unknown
  readonly $ref?: unknown
  readonly $defs?: unknown
  readonly properties?: unknown
  readonly patternProperties?: unknown
  readonly additionalProperties?: unknown
  readonly items?: unknown
  readonly prefixItems?: unknown
  readonly anyOf?: unknown
  readonly oneOf?: unknown
  readonly allOf?: unknown
}

/** A schema that cannot be read may hide anything: all of it is sensitive then. */
export function fieldsOf(schema: z.ZodType): FieldSchema {
  try {
    return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  } catch {
    return { sensitive: true }
  }
}
