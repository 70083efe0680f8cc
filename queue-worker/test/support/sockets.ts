/** The connections of a process, as the kernel knows them. Linux only. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const ESTABLISHED = '01'

/** TCP connections that are open, but for those to its own server: where they lead, as the kernel writes it. */
export function outwardConnections(pid: number, ownPort: number): string[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).flatMap((fd) => inodeOf(`/proc/${pid}/fd/${fd}`)))
  const rows = ['tcp', 'tcp6'].flatMap((family) => {
    const [, ...lines] = readFileSync(`/proc/${pid}/net/${family}`, 'utf8').trim().split('\n')
    return lines.map((line) => line.trim().split(/\s+/))
  })
  return rows.flatMap(([, local = '', remote = '', state, , , , , , inode = '']) => {
    const port = Number.parseInt(local.split(':')[1] ?? '', 16)
    return state === ESTABLISHED && sockets.has(inode) && port !== ownPort ? [remote] : []
  })
}

function inodeOf(link: string): string[] {
  try {
    return [...readlinkSync(link).matchAll(/^socket:\[(\d+)\]$/g)].map(([, inode = '']) => inode)
  } catch {
    return [] // closed meanwhile
  }
}
