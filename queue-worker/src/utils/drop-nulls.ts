/** An object without its keys that are null: SQL's jsonb_build_object writes null where a value is missing. */
export function dropNulls(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null))
}
