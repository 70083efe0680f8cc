import { hostname, userInfo } from 'node:os'

/** Who types the commands, as the audit tells it: `cli:ann@laptop`. */
export function caller(): string {
  return `cli:${userName()}@${hostname()}`.slice(0, 200)
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown') // a container's user that has no name
  }
}
