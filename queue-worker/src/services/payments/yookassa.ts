/** YooKassa, by its API of version 3: the one place that talks to it. */
import { coerceError, UncertainEffectError } from '../../errors.ts'
import type { PaymentProvider } from './contract.ts'
import { providerFailure } from './failures.ts'
import {
  isTrue,
  textIn,
  type YooObject,
  yooAmount,
  yooClaim,
  yooCreate,
  yooObject,
  yooPage,
  yooPayment,
  yooRefund,
  yooRefundView,
} from './yookassa-view.ts'

export type YookassaSettings = {
  readonly shopId: string
  readonly key: string
  /** Default https://api.yookassa.ru/v3 */
  readonly url?: string | undefined
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined
}

type Request = {
  readonly path: string
  readonly signal: AbortSignal
  /** With it the request changes something. */
  readonly key?: string
  readonly body?: object
}

const PAGE = '100'
/** How many payments a search by our id looks through before it gives up. */
const MAX_SEARCHED = 10_000

/** Connects with the first call. */
export function yookassaProvider(settings: YookassaSettings): PaymentProvider {
  const base = (settings.url ?? 'https://api.yookassa.ru/v3').replace(/\/+$/, '')
  const authorization = `Basic ${Buffer.from(`${settings.shopId}:${settings.key}`).toString('base64')}`

  async function ask({ path, signal, key, body }: Request): Promise<unknown> {
    const fail = (
      status: number | undefined,
      said: string,
      cause?: unknown,
      retryAfter?: string | null,
    ): never => {
      throw providerFailure('YooKassa', { status, said, cause, retryAfter }, key !== undefined)
    }
    const limit = AbortSignal.timeout(settings.timeoutMs ?? 30_000)
    let response: Response
    let text: string
    try {
      response = await fetch(`${base}${path}`, {
        method: key === undefined ? 'GET' : 'POST',
        // An API redirects nobody, and the key must not travel to wherever it leads.
        redirect: 'manual',
        signal: AbortSignal.any([signal, limit]),
        headers: {
          authorization,
          ...(key === undefined ? {} : { 'idempotence-key': key, 'content-type': 'application/json' }),
        },
        ...(key === undefined ? {} : { body: JSON.stringify(body ?? {}) }),
      })
      text = await response.text()
    } catch (error) {
      signal.throwIfAborted()
      const { message, cause } = coerceError(error)
      return fail(undefined, cause instanceof Error ? `${message}, ${cause.message}` : message, error)
    }
    const answer = parsed(text)
    if (response.ok && textIn(answer, 'type') === 'processing')
      throw new UncertainEffectError('YooKassa is still at it; it is asked again.')
    if (response.ok && answer !== undefined) return answer
    const said = [textIn(answer, 'code'), textIn(answer, 'description'), textIn(answer, 'parameter')]
    // What is no answer of the API's (a proxy's page, say) tells nothing of what was done.
    const status = response.ok || response.status < 400 ? 502 : response.status
    return fail(
      status,
      said.filter((part) => part !== undefined).join(', ') || `status ${response.status}`,
      undefined,
      response.headers.get('retry-after'),
    )
  }

  const change = async (path: string, body: object, { key, signal }: { key: string; signal: AbortSignal }) =>
    yooObject(await ask({ path, body, key, signal }))
  const get = async (path: string, signal: AbortSignal) => yooObject(await ask({ path, signal }))
  const payment = (id: string) => `/payments/${encodeURIComponent(id)}`

  async function first(
    list: string,
    query: Record<string, string>,
    isIt: (one: YooObject) => boolean,
    signal: AbortSignal,
  ): Promise<YooObject | null> {
    let cursor: string | undefined
    for (let seen = 0; seen < MAX_SEARCHED; seen += Number(PAGE)) {
      const search = new URLSearchParams({
        ...query,
        limit: PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      })
      const page = yooPage(await ask({ path: `/${list}?${search}`, signal }))
      const found = page.items.find(isIt)
      if (found !== undefined || page.cursor === undefined) return found ?? null
      cursor = page.cursor
    }
    throw new Error(`Not found among ${MAX_SEARCHED} ${list} of its time at YooKassa.`)
  }

  return {
    name: 'yookassa',
    create: async (wanted, call) => yooPayment(await change('/payments', yooCreate(wanted), call)),
    async capture({ receipt, ...wanted }, call) {
      const body = { amount: yooAmount(wanted), receipt }
      return yooPayment(await change(`${payment(wanted.id)}/capture`, body, call))
    },
    cancel: async ({ id }, call) => yooPayment(await change(`${payment(id)}/cancel`, {}, call)),
    refund: async (wanted, call) => yooRefundView(await change('/refunds', yooRefund(wanted), call)),
    read: async (id, signal) => yooPayment(await get(payment(id), signal)),
    async find(paymentId, { from, to }, signal) {
      const within = { 'created_at.gte': from.toISOString(), 'created_at.lte': to.toISOString() }
      const isIt = ({ metadata }: YooObject) => textIn(metadata, 'payment_id') === paymentId
      const found = await first('payments', within, isIt, signal)
      return found === null ? null : yooPayment(found)
    },
    async findRefund({ id, reference }, signal) {
      const isIt = ({ metadata }: YooObject) => textIn(metadata, 'reference') === reference
      const found = await first('refunds', { payment_id: id }, isIt, signal)
      return found === null ? null : yooRefundView(found)
    },
    async verify({ body }, signal) {
      const claim = yooClaim(body)
      const event = { id: `${claim.event}:${claim.id}`, type: claim.event }
      if (claim.about === null) return { ...event, payment: null }
      const isRefund = claim.about === 'refund'
      const shown = await get(
        isRefund ? `/refunds/${encodeURIComponent(claim.id)}` : payment(claim.id),
        signal,
      )
      // A later delivery may see it; what was made up never comes true.
      if (!isTrue(claim, shown))
        throw new Error(`YooKassa does not show what a notification says (${claim.event} of ${claim.id}).`)
      const about = isRefund ? await get(payment(textIn(shown, 'payment_id') ?? ''), signal) : shown
      return { ...event, payment: yooPayment(about) }
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
