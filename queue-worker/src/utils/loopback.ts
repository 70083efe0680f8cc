/** Which hosts are this very machine. Pure. */

/** True when the host can only be this machine. */
export function isLoopback(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '::1' ||
    /^127(\.(0|[1-9]\d{0,2})){3}$/.test(name)
  )
}
