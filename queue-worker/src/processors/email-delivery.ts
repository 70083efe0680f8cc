/**
 * Gives one mail to the SMTP server so that nobody gets it twice where that can be known. Every try is a step of
 * the ledger (smtp-1, smtp-2, …) whose result says who has it; a later delivery goes on with the others only.
 */
import { coerceError, EffectNotDoneError, UncertainEffectError, UnrecoverableError } from '../errors.ts'
import type { Mailer } from '../services/email.ts'
import type { Refusal, SendResult } from '../services/email-errors.ts'
import { type Mail, recipientsOf } from '../services/email-message.ts'
import { addressKey } from '../utils/email-address.ts'
import type { ProcessorContext } from './define.ts'

export type DeliveryOptions = {
  readonly mailer: Pick<Mailer, 'send'>
  readonly uncertain: 'hold' | 'repeat'
}

/** Where a mail stands after some tries. */
type Progress = {
  readonly accepted: readonly string[]
  /** Not tried yet, or refused for now. */
  readonly open: readonly string[]
  readonly refused: readonly Refusal[]
}

/**
 * Resolves when every recipient was accepted. Throws Error while some are refused for now, UnrecoverableError
 * when nobody is left but recipients refused for good, and whatever the mailer throws.
 */
export async function deliverMail(
  mail: Mail,
  context: ProcessorContext,
  options: DeliveryOptions,
): Promise<void> {
  let progress: Progress = { accepted: [], open: recipientsOf(mail), refused: [] }
  for (let number = 1; progress.open.length + progress.refused.length > 0; number += 1) {
    // Those refused for good are tried again only when nobody else is left: after a redrive, by a person's wish.
    const targets = progress.open.length > 0 ? progress.open : progress.refused.map(({ address }) => address)
    const { result, ranNow } = await tryOnce(`smtp-${number}`, mail, targets, progress, context, options)
    progress = advance(progress, targets, result)
    if (ranNow) return conclude(progress, context)
  }
}

async function tryOnce(
  step: string,
  mail: Mail,
  recipients: readonly string[],
  before: Progress,
  context: ProcessorContext,
  { mailer, uncertain }: DeliveryOptions,
): Promise<{ result: SendResult; ranNow: boolean }> {
  let fresh: SendResult | undefined
  try {
    const run = async () => {
      fresh = await mailer.send(mail, { recipients, signal: context.signal }).catch(surelyNotSent)
      if (!changesAnything(fresh)) throw new EffectNotDoneError('no recipient was accepted')
      return fresh
    }
    const result = await context.once(step, run, { uncertain })
    return { result, ranNow: fresh !== undefined }
  } catch (caught) {
    const thrown = caught instanceof EffectNotDoneError ? (caught.cause ?? caught) : caught
    // The step did not happen, so it is not recorded; what the server said counts all the same.
    if (fresh !== undefined && !changesAnything(fresh)) return { result: fresh, ranNow: true }
    if (thrown instanceof UnrecoverableError && before.accepted.length > 0) {
      const so = `${thrown.message} Earlier it was accepted for ${list(before.accepted)}.`
      throw new UnrecoverableError(so, { cause: thrown })
    }
    throw thrown
  }
}

/** The mailer knows when it does not know; then also after an abort all its other errors mean: not accepted. */
function surelyNotSent(thrown: unknown): never {
  if (thrown instanceof UncertainEffectError) throw thrown
  throw new EffectNotDoneError(coerceError(thrown).message, { cause: thrown })
}

/** A try after which the next one has the same to do leaves no record. */
function changesAnything({ accepted, refused }: SendResult): boolean {
  if (accepted.length > 0) return true
  return refused.some(({ permanent }) => permanent) && refused.some(({ permanent }) => !permanent)
}

function advance(before: Progress, targets: readonly string[], result: SendResult): Progress {
  const accepted = new Set(result.accepted.map(addressKey))
  const tried = new Set(targets.map(addressKey))
  const still = before.refused.filter(({ address }) => !tried.has(addressKey(address)))
  const now = result.refused.filter(({ permanent }) => permanent)
  const refused = new Map([...still, ...now].map((refusal) => [addressKey(refusal.address), refusal]))
  const open = targets.filter(
    (address) => !accepted.has(addressKey(address)) && !refused.has(addressKey(address)),
  )
  return { accepted: [...before.accepted, ...result.accepted], open, refused: [...refused.values()] }
}

function conclude({ accepted, open, refused }: Progress, context: ProcessorContext): void {
  const others =
    accepted.length > 0 ? ` It was accepted for ${list(accepted)}, who will not get it again.` : ''
  const verdicts = refused.map(({ address, reply }) => `${address} (${reply})`).join('; ')
  if (open.length > 0) {
    if (refused.length > 0) context.logger.warn(`The mail was refused for good for: ${verdicts}`)
    throw new Error(`The SMTP server did not take the mail yet for ${list(open)}.${others}`)
  }
  if (refused.length > 0)
    throw new UnrecoverableError(`The mail was refused for good for: ${verdicts}.${others}`)
}

function list(addresses: readonly string[]): string {
  return addresses.join(', ')
}
