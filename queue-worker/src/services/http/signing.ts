/** Signs requests by the Standard Webhooks scheme, https://www.standardwebhooks.com. Pure. */
import { createHash, createHmac } from 'node:crypto'

export type Signed = {
  readonly id: string
  /** Seconds since 1970, when it is sent: receivers refuse what is minutes old. */
  readonly timestamp: number
  readonly body: string
}

/** The three headers; without a secret there is no signature. One signature for each secret, so that they can be changed. */
export function webhookHeaders(
  { id, timestamp, body }: Signed,
  secrets: readonly string[],
): Record<string, string> {
  const content = `${id}.${timestamp}.${body}`
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    return `v1,${createHmac('sha256', key).update(content).digest('base64')}`
  })
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp) }
  return signatures.length === 0 ? headers : { ...headers, 'webhook-signature': signatures.join(' ') }
}

/** The id by which a receiver knows a message again, however often it is sent. A key that no header can hold is hashed. */
export function webhookId(originKey: string): string {
  const isPlain = /^[\w-]{1,100}$/.test(originKey)
  return `msg_${isPlain ? originKey : createHash('sha256').update(originKey).digest('hex').slice(0, 32)}`
}
