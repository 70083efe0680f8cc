/** A connection to the database that a processor has for itself. */
import { connectionSettings } from '../config/connection-settings.ts'
import type { Config } from '../config.ts'
import type { Transport } from '../queue/contract.ts'
import { type ConnectionLimits, connect } from '../services/connect.ts'

export type OwnConnection = {
  /** Opened when it is needed. Throws SetupError where none is configured. */
  current(): Transport
  readonly call: Transport['call']
  close(): Promise<void>
}

export function ownConnection(config: Config, limits: ConnectionLimits = {}): OwnConnection {
  let opened: Transport | undefined
  const current = () => {
    opened ??= connect(connectionSettings(config), limits)
    return opened
  }
  return {
    current,
    call: (entryPoint, request) => current().call(entryPoint, request),
    close: async () => opened?.close(),
  }
}
