/** Hosts and networks as settings name them: 10.0.0.0/8, ::1, hooks.internal, *.internal.example. Pure. */
import { BlockList, isIP } from 'node:net'

export type Family = 'ipv4' | 'ipv6'
export type Network = { readonly address: string; readonly prefix: number; readonly family: Family }

/** The family of an address; undefined for what is none, and for one with a zone: that is a place on this machine's links. */
export function familyOf(address: string): Family | undefined {
  const version = address.includes('%') ? 0 : isIP(address)
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6'
}

/** An address, or a network in CIDR notation; undefined for what is neither. */
export function readNetwork(text: string): Network | undefined {
  const [address = '', bits, ...rest] = text.split('/')
  const family = familyOf(address)
  if (family === undefined || rest.length > 0) return undefined
  const most = family === 'ipv4' ? 32 : 128
  if (bits === undefined) return { address, prefix: most, family }
  const prefix = /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
  return prefix <= most ? { address, prefix, family } : undefined
}

const LABEL = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
const HOST = new RegExp(`^(\\*\\.)?${LABEL}(\\.${LABEL})*$`)

/** A host's name, or `*.` and a name for all hosts below it, in lower case; undefined for what is neither. */
export function readHostPattern(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '')
  // What ends in a number is an address in one of its odd notations, or a slip.
  return HOST.test(name) && !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name) ? name : undefined
}

/** What asks whether a host is meant by one of these patterns. */
export function hostMatcher(patterns: readonly string[]): (host: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.startsWith('*.')))
  const below = patterns.filter((pattern) => pattern.startsWith('*.')).map((pattern) => pattern.slice(1))
  return (host) => {
    const name = host.toLowerCase().replace(/\.$/, '')
    return exact.has(name) || below.some((end) => name.endsWith(end))
  }
}

/** What asks whether an address lies in one of these networks. An IPv4 address within IPv6 counts as itself. */
export function networkMatcher(networks: readonly Network[]): (address: string) => boolean {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family)
  return (address) => {
    const family = familyOf(address)
    return family !== undefined && list.check(address, family)
  }
}
