/** The demo's payments: public.payments, and beside it what the provider has in its books. */
import type { Sql } from 'postgres'
import { toDecimal } from '../utils/currency.ts'
import type { Ending } from './demo-endings.ts'

export type DemoPayment = {
  readonly id: string
  readonly reference: string
  readonly status: string
  readonly amount: string
  readonly captured: string
  readonly refunded: string
  readonly error: string | null
  /** How often it stands in the provider's books. */
  readonly timesAtProvider: number
  /** How often the message that made it was delivered. */
  readonly deliveries: number
}

type Row = Omit<DemoPayment, 'deliveries'> & {
  readonly currency: string
  readonly exponent: number
  readonly madeBy: string
}

/** Those that these messages made, by reference. */
export async function paymentsOf(sql: Sql, endings: readonly Ending[]): Promise<DemoPayment[]> {
  const originKeys = endings.map(({ originKey }) => originKey)
  const rows = await sql<Row[]>`
    select p.id, p.reference, p.status, p.amount::text, p.captured_amount::text as captured, p.refunded_amount::text as refunded,
      p.currency, p.exponent, p.last_error as error, e.origin_key as "madeBy",
      (select count(*)::int from queue_worker.sandbox_payments s where s.payment_id = p.id) as "timesAtProvider"
    from public.payments p join public.payment_events e on e.payment_id = p.id and e.status_before = 'new'
    where e.origin_key = any (${originKeys}::text[])
    order by p.reference`
  return rows.map(({ currency, exponent, madeBy, ...row }) => {
    const money = (minor: string) => `${toDecimal(BigInt(minor), exponent)} ${currency}`
    return {
      ...row,
      deliveries: endings.find(({ originKey }) => originKey === madeBy)?.deliveries ?? 0,
      amount: money(row.amount),
      captured: money(row.captured),
      refunded: money(row.refunded),
    }
  })
}

/** The payment that a message made. */
export async function paymentOf(sql: Sql, originKey: string): Promise<string> {
  const [event] = await sql<{ id: string }[]>`
    select payment_id as id from public.payment_events where origin_key = ${originKey}`
  if (event === undefined) throw new Error(`no payment was made by message ${originKey}`)
  return event.id
}
