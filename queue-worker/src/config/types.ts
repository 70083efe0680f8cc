/** What the settings are once they are read. */
import type { ConsumerSettings, WorkerSettings } from '../engine/settings.ts'
import type { Network } from '../utils/networks.ts'
import type { AmqpAddress } from './amqp-url.ts'
import type { SupabaseAddress, TransportName } from './connection.ts'
import type { Problem } from './gather.ts'
import type { QueueOverride } from './overrides.ts'
import type { Values } from './settings.ts'

export type Config = {
  readonly production: boolean
  /** Undefined: nothing is set; the command decides whether the embedded stack will do. */
  readonly transport: TransportName | undefined
  /** Set when both its address and its key are, whichever transport is used. */
  readonly supabase: SupabaseAddress | undefined
  readonly database: { readonly url: string } | undefined
  readonly connection: {
    readonly caFile: string | undefined
    /** Connections to the database of a direct transport. */
    readonly poolSize: number
    readonly connectTimeoutMs: number
    readonly preferIpv4: boolean
  }
  /** Queues to work on; undefined: those of all processors. */
  readonly queues: readonly string[] | undefined
  /** A folder whose modules default-export a processor. */
  readonly processors: string | undefined
  readonly worker: WorkerSettings
  /** Null: it never sleeps. */
  readonly sleep: { readonly whenIdleSeconds: number; readonly wokenBy: Values['WORKER_WOKEN_BY'] } | null
  readonly scheduler: {
    /** `start` also sends what schedules ask for. */
    readonly isOn: boolean
    readonly pollMs: number
  }
  /** What a queue gets that neither its processor nor a variable of its own says anything about. */
  readonly consumer: ConsumerSettings
  /** What was set for single queues, by prefix; ask with `queueOverrides`. */
  readonly overrides: Readonly<Record<string, Override>>
  readonly retention: {
    /** How long records are kept; 0: for ever. */
    readonly days: number
    /** The same for archives, where nothing else is said of a queue; ask with `archiveDays`. */
    readonly archiveDays: number
  }
  readonly smtp: {
    readonly host: string | undefined
    readonly port: number
    readonly user: string | undefined
    readonly pass: string | undefined
    readonly from: string | undefined
    /** TLS from the first byte; undefined: on port 465 only. */
    readonly secure: boolean | undefined
    /** Refuse a session without TLS; undefined: unless the host is this machine. */
    readonly requireTls: boolean | undefined
    readonly caFile: string | undefined
    readonly poolSize: number
  }
  readonly email: {
    readonly templatesDir: string
    readonly maxAttachmentBytes: number
    readonly whenUncertain: 'resend' | 'hold'
  }
  readonly callbacks: {
    /** Somebody has set something for http_callbacks, or named it in QUEUES. */
    readonly isWanted: boolean
    /** Requests are signed with each of them. */
    readonly secrets: readonly string[]
    /** Hosts, addresses and networks that may be called though they are not public. */
    readonly allowPrivate: readonly string[]
    /** Undefined: any. */
    readonly ports: readonly number[] | undefined
    readonly methods: readonly string[]
    /** In lower case; `x-*` means all that begin so. */
    readonly headers: readonly string[]
    readonly caFile: string | undefined
  }
  readonly amqp: {
    /** Undefined: there is no broker. */
    readonly address: AmqpAddress | undefined
    readonly caFile: string | undefined
  }
  readonly reports: {
    /** Where finished reports are kept: a local folder, or a bucket of Supabase Storage. */
    readonly dir: string | undefined
    readonly bucket: string | undefined
    readonly timeZone: string
    readonly statementTimeoutMs: number
    readonly csv: { readonly bom: boolean; readonly delimiter: string }
    readonly attachBytes: number
    readonly linkSeconds: number
    readonly fontFile: string | undefined
  }
  /** Null: there is no work on payments. */
  readonly payments: {
    /** For new payments that name none. */
    readonly provider: 'sandbox' | 'stripe' | 'yookassa'
    readonly stripe:
      | { readonly key: string; readonly webhookSecret: string | undefined; readonly url: string }
      | undefined
    readonly yookassa: { readonly shopId: string; readonly key: string; readonly url: string } | undefined
  } | null
  /** What the worker answers over HTTP; port null for nothing. */
  readonly http: {
    readonly host: string
    readonly port: number | null
    /** Who shows one of them may send messages; with none, nobody may. */
    readonly adminTokens: readonly string[]
    /** Who shows one of them, or an admin token, may wake the worker; with none, anybody may. */
    readonly wakeTokens: readonly string[]
  }
  /** Null: there is none. */
  readonly dashboard: {
    readonly path: string
    /** Who shows one of them may look; with an admin token, act as well. */
    readonly viewerTokens: readonly string[]
    /** Null: no reverse proxy names users. */
    readonly users: {
      readonly header: string
      readonly operators: readonly string[]
      /** `*`: everybody whom the proxy lets in. */
      readonly viewers: readonly string[]
    } | null
    readonly trustedProxies: readonly Network[]
  } | null
  readonly logLevel: Values['LOG_LEVEL']
  /** Things that may be wrong but do not stop the start. */
  readonly warnings: readonly string[]
  /** Every secret value, for the logger to redact. Never print this. */
  readonly secrets: readonly string[]
}

export type Override = { readonly override: QueueOverride; readonly problems: readonly Problem[] }
