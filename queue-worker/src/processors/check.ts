import type { z } from 'zod'

/**
 * Checks payloads at once where their schema can. Whether it can is found out with the first payload, in a way that leaves no
 * promise behind: one that nobody waits for would end the process when it is rejected.
 */
export function createPayloadCheck<Payload>(schema: z.ZodType<Payload>) {
  let isSync: boolean | undefined
  return (payload: unknown) => {
    if (isSync === undefined) return firstCheck(payload)
    if (!isSync) return schema.safeParseAsync(payload)
    try {
      return schema.safeParse(payload)
    } catch {
      // Only some payloads lead to its asynchronous parts. Another error is thrown once more there.
      isSync = false
      return schema.safeParseAsync(payload)
    }
  }

  async function firstCheck(payload: unknown) {
    const checked = schema._zod.run({ value: payload, issues: [] }, { async: true })
    isSync = !(checked instanceof Promise)
    await checked
    return schema.safeParseAsync(payload)
  }
}
