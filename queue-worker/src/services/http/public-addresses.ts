/**
 * Which addresses belong to the public internet. From IANA's registries of special-purpose addresses, and what cloud platforms
 * use for themselves: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry. Pure.
 */
import { type Network, networkMatcher, readNetwork } from '../../utils/networks.ts'

const SPECIAL_V4 = [
  '0.0.0.0/8', // this network; connecting there reaches this machine
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT, and the metadata of Alibaba Cloud
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // the platform of Azure: metadata, DNS
  '169.254.0.0/16', // link-local, and the metadata of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments, and the metadata of Oracle Cloud
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays, withdrawn
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
]

/** Within 2000::/3; everything outside of that is special: loopback, mapped IPv4, fc00::/7, fe80::/10, ff00::/8. */
const SPECIAL_V6 = [
  '2001::/23', // protocol assignments: Teredo, benchmarks, ORCHID
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, withdrawn: an IPv4 address is embedded
  '3fff::/20', // documentation
]

/** NAT64: the last 32 bits are an IPv4 address, which networks without IPv4 reach by it. */
const NAT64 = '64:ff9b::'

const specialV4 = SPECIAL_V4.map(network)
const isSpecial = networkMatcher([...specialV4, ...SPECIAL_V6.map(network), ...specialV4.map(throughNat64)])
const isGlobalV6 = networkMatcher([network('2000::/3'), network(`${NAT64}/96`)])

/** False as well for what is no address, or one with a zone. */
export function isPublicAddress(address: string): boolean {
  if (address.includes(':')) return isGlobalV6(address) && !isSpecial(address)
  return readNetwork(address) !== undefined && !isSpecial(address)
}

function throughNat64({ address, prefix }: Network): Network {
  return { address: `${NAT64}${address}`, prefix: 96 + prefix, family: 'ipv6' }
}

function network(text: string): Network {
  const read = readNetwork(text)
  if (read === undefined) throw new TypeError(`${text} is no network`)
  return read
}
