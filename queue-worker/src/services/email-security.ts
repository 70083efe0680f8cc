/** When a connection to the SMTP server is encrypted, and what may go over one that is not. */
import { SetupError } from '../errors.ts'
import { type Address, parseAddresses } from '../utils/email-address.ts'
import { isLoopback } from '../utils/loopback.ts'

export type SecuritySettings = {
  readonly host: string
  readonly port: number
  readonly user?: string | undefined
  readonly secure?: boolean | undefined
  readonly requireTls?: boolean | undefined
}

/** `secure`: TLS from the first byte. `requireTls`: no session without STARTTLS. `ignoreTls`: no STARTTLS. */
export type Security = {
  readonly secure: boolean
  readonly requireTls: boolean
  readonly ignoreTls: boolean
}

/**
 * Port 465 speaks TLS from the start. Elsewhere STARTTLS is required, except towards this very machine, where
 * nobody listens in and certificates rarely fit: there it is used only when asked for. For other hosts
 * `requireTls: false` makes it "when offered", but not together with a login, which would go in plaintext
 * whenever somebody on the way removed the offer. Throws SetupError then.
 */
export function decideSecurity(settings: SecuritySettings): Security {
  const secure = settings.secure ?? settings.port === 465
  const loopback = isLoopback(settings.host)
  const requireTls = settings.requireTls ?? !loopback
  if (!secure && !requireTls && !loopback && settings.user) {
    throw new SetupError(
      `SMTP_REQUIRE_TLS=false would let the login to ${settings.host}:${settings.port} go unencrypted.`,
      'Leave SMTP_REQUIRE_TLS unset, or use port 465 with SMTP_SECURE=true, or send without SMTP_USER and SMTP_PASS.',
    )
  }
  return { secure, requireTls: !secure && requireTls, ignoreTls: !secure && !requireTls && loopback }
}

/** The sender of mails that name none. Throws SetupError when it is not exactly one address. */
export function readSender(from: string): Address {
  const { addresses, problem } = { addresses: undefined, ...parseAddresses(from) }
  const [sender, ...more] = addresses ?? []
  if (sender !== undefined && more.length === 0) return sender
  const what = problem ?? 'it holds more than one address'
  throw new SetupError(
    `SMTP_FROM (or FROM_EMAIL) is not usable: ${what}.`,
    'Set it to one address: "a@b.example" or "Name <a@b.example>".',
  )
}
