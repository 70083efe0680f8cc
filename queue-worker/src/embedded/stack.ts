/**
 * A Supabase project's backend on this machine, for the demo, for development and for tests: PostgreSQL with pgmq,
 * PostgREST behind a gateway, a mail server. One process runs it; others that start it in the same folder join.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError } from '../errors.ts'
import { type Folder, findFolder, openFolder } from './folder.ts'
import type { Secrets } from './keys.ts'
import { tryLock } from './lock.ts'
import { runStack, smtpUser } from './own.ts'
import { findPackages } from './packages.ts'
import { loopback } from './ports.ts'
import { isRunning, type ProcessId } from './processes.ts'
import { type Ports, readState } from './state.ts'

export type StackOptions = {
  /** Where data, keys, logs and mails are kept; made when missing. Usually `.queue-worker` in the working folder. */
  directory: string
  /** Gets lines a person should see: a port that was taken, data kept elsewhere. Never a secret. */
  log: (line: string) => void
  /** Called when this process really starts the stack, which takes seconds; not when it joins another's. */
  onStart?: () => void
  /** Ports to use if they are free: 54321, 54322 and 54325 unless given. 0 means any. */
  ports?: { gateway?: number; postgres?: number; smtp?: number }
  /** 18 unless given; 17 needs the development package of that version and is for tests. */
  postgresMajor?: 17 | 18
}

export type Stack = {
  /** SUPABASE_URL. */
  url: string
  secretKey: string
  publishableKey: string
  /** The legacy keys: tokens of the roles service_role and anon. */
  serviceRoleKey: string
  anonKey: string
  /** As `postgres`, who is no superuser. */
  databaseUrl: string
  /** As the superuser `supabase_admin`. */
  adminUrl: string
  smtp: { host: string; port: number; user: string; pass: string }
  /** Every mail the SMTP server accepted, one file each. */
  mailDirectory: string
  /** True when another caller runs the stack and this one joined it; then `stop` does nothing. */
  attached: boolean
  stop(): Promise<void>
}

/** How long to wait for another process that is just starting the stack in the same folder. */
const joinLimitMs = 90_000

/**
 * Starts the stack of a folder, or joins it where it runs already. Data, keys and passwords stay the same from
 * start to start. It ends with this process, however that ends. Throws SetupError where a person must help.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const major = options.postgresMajor ?? 18
  const packages = findPackages(major)
  const folder = openFolder(options.directory)
  const { gateway = 54321, postgres = 54322, smtp = 54325 } = options.ports ?? {}
  const giveUp = performance.now() + joinLimitMs
  for (;;) {
    const lock = tryLock(folder.lock)
    if (lock.taken) {
      try {
        options.onStart?.()
        const owned = await runStack({
          folder,
          owner: lock.owner,
          packages,
          preferred: { gateway, postgres, smtp },
          major,
          log: options.log,
        })
        const stop = once(() => owned.stop().finally(lock.release))
        return describeStack(folder, owned.secrets, owned.ports, false, stop)
      } catch (error) {
        lock.release()
        throw error
      }
    }
    const joined = lock.holder && (await join(folder, lock.holder))
    if (joined) return joined
    if (performance.now() > giveUp) {
      throw new SetupError(
        `process ${lock.holder?.pid ?? '(unknown)'} holds ${folder.path}, but its stack does not answer`,
        'Stop that process, then start again.',
      )
    }
    await sleep(50)
  }
}

/**
 * The stack that another process runs in this folder, or null. Starts and makes nothing. Throws SetupError when
 * the folder's data cannot be read.
 */
export async function joinStack({ directory }: Pick<StackOptions, 'directory'>): Promise<Stack | null> {
  const folder = findFolder(directory)
  const owner = folder && readState(folder.state)?.run?.owner
  return folder && owner && isRunning(owner) ? join(folder, owner) : null
}

async function join(folder: Folder, holder: ProcessId): Promise<Stack | null> {
  const state = readState(folder.state)
  const run = state?.run
  if (!state || !run?.ports || run.owner.pid !== holder.pid || run.owner.started !== holder.started)
    return null
  const stack = describeStack(folder, state.secrets, run.ports, true, async () => {})
  const headers = { apikey: stack.secretKey }
  const answer = await fetch(`${stack.url}/rest/v1/`, {
    method: 'HEAD',
    headers,
    signal: AbortSignal.timeout(5_000),
  })
    .then(({ status }) => status)
    .catch(() => null)
  return answer === 200 ? stack : null
}

function describeStack(
  folder: Folder,
  secrets: Secrets,
  ports: Ports,
  attached: boolean,
  stop: () => Promise<void>,
): Stack {
  const database = (user: string, password: string) =>
    `postgres://${user}:${password}@${loopback}:${ports.postgres}/postgres`
  return {
    url: `http://${loopback}:${ports.gateway}`,
    secretKey: secrets.secretKey,
    publishableKey: secrets.publishableKey,
    serviceRoleKey: secrets.serviceRoleKey,
    anonKey: secrets.anonKey,
    databaseUrl: database('postgres', secrets.databasePassword),
    adminUrl: database('supabase_admin', secrets.adminPassword),
    smtp: { host: loopback, port: ports.smtp, user: smtpUser, pass: secrets.smtpPassword },
    mailDirectory: folder.mail,
    attached,
    stop,
  }
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= action()
    return running
  }
}
