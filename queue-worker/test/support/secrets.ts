/** Whether a secret is in a text, in any form in which it may be written there. */
import { expect } from 'vitest'

export function noneOf(secrets: readonly string[], text: string): void {
  for (const secret of secrets) {
    for (const form of formsOf(secret)) expect(text.includes(form), `found ${form}`).toBe(false)
  }
}

/** The core of a secret's base64, whatever lies before it. */
function base64Cores(secret: string): string[] {
  return [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
      .toString('base64')
      .slice(4, -4),
  )
}

function formsOf(secret: string): string[] {
  const plain = JSON.stringify(secret).slice(1, -1)
  return [
    secret,
    plain,
    encodeURIComponent(secret),
    ...base64Cores(secret),
    ...base64Cores(secret).map((one) => one.replaceAll('+', '-').replaceAll('/', '_')),
  ]
}
