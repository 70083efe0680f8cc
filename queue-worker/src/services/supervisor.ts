/**
 * The supervisor that started this process, where it wants to be told how it is: pm2 (`wait_ready`) and systemd
 * (`Type=notify`, `WatchdogSec`). Node cannot send to a datagram socket, so systemd's own `systemd-notify` does.
 */
import { execFile } from 'node:child_process'

export type Supervisor = {
  /** It works now. From here on systemd is told again and again that it lives, as long as its event loop turns and it says so. */
  ready(lives: () => boolean): void
  /** It will end, in its own time. */
  stopping(): void
  /** Nothing more is told. */
  close(): void
}

type Environment = Readonly<Record<string, string | undefined>>

/** `onFailure` hears once why systemd cannot be told. */
export function findSupervisor(environment: Environment, onFailure: (error: Error) => void): Supervisor {
  const beatMs = watchdogMs(environment)
  let beats: NodeJS.Timeout | undefined
  let failed = false

  function tellSystemd(...words: string[]): void {
    if (environment.NOTIFY_SOCKET === undefined) return
    const env = { PATH: environment.PATH, NOTIFY_SOCKET: environment.NOTIFY_SOCKET }
    execFile('systemd-notify', words, { env, timeout: 10_000 }, (error) => {
      if (error === null || failed) return
      failed = true
      onFailure(error)
    })
  }

  return {
    ready(lives) {
      // pm2 listens on the channel of the processes that it starts.
      if (environment.pm_id !== undefined && process.connected) process.send?.('ready')
      tellSystemd('--ready')
      if (beatMs !== null) beats = setInterval(() => lives() && tellSystemd('WATCHDOG=1'), beatMs)
    },
    stopping: () => tellSystemd('STOPPING=1'),
    close: () => clearInterval(beats),
  }
}

/** A third of what systemd tolerates; null where there is no watchdog, or it watches another process. */
function watchdogMs({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | null {
  const limitMs = Number(WATCHDOG_USEC) / 1000
  const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)
  return NOTIFY_SOCKET !== undefined && isOurs && limitMs > 0 ? Math.max(limitMs / 3, 10) : null
}
