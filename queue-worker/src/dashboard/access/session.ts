/**
 * Sessions that are written nowhere but in their cookie. They are signed with a key made from the token itself: so they
 * outlive a restart, hold for every worker with that token, and die with it. Pure, but for the random part of a new one.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Role } from '../visitor.ts'

/** Whoever shows one token. */
export type Holder = {
  readonly role: Role
  /** 'operator a1b2': tells tokens apart in the audit table, and nothing about them. */
  readonly name: string
  readonly key: Buffer
}

export const SESSION_SECONDS = 12 * 3600

export function holderOf(token: string, role: Role): Holder {
  const derive = (purpose: string) => createHmac('sha256', token).update(`queue-worker ${purpose}`).digest()
  const print = derive('fingerprint').toString('hex').slice(0, 4)
  return { role, name: `${role} ${print}`, key: derive(`session of a ${role}`) }
}

export function newSession({ name, key }: Holder, nowMs: number): string {
  const expires = Math.floor(nowMs / 1000) + SESSION_SECONDS
  const claim = [name.replace(' ', '-'), expires, randomBytes(12).toString('base64url')].join('.')
  return `${claim}.${sign(key, claim).toString('base64url')}`
}

const SESSION = /^((?:operator|viewer)-[0-9a-f]{4}\.(\d{1,12})\.[\w-]{16})\.([\w-]{43})$/

/** Whose it is; null: it is none, of a token that is not known any more, or over. */
export function sessionHolder(session: string, holders: readonly Holder[], nowMs: number): Holder | null {
  const [, claim, expires, signature] = SESSION.exec(session) ?? []
  if (claim === undefined || signature === undefined) return null
  const given = Buffer.from(signature, 'base64url')
  const fits = holders.map(({ key }) => timingSafeEqual(sign(key, claim), given))
  return Number(expires) * 1000 > nowMs ? (holders[fits.indexOf(true)] ?? null) : null
}

function sign(key: Buffer, claim: string): Buffer {
  return createHmac('sha256', key).update(claim).digest()
}
