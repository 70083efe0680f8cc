/** All checks, in the order in which they are done. A new one is a file here and a line below. */
import type { Check } from '../finding.ts'
import type { Parts, Place } from '../parts.ts'
import { broker } from './broker.ts'
import { build } from './build.ts'
import { clock } from './clock.ts'
import { connections } from './connections.ts'
import { databaseUrl } from './database-url.ts'
import { deadRows } from './dead-rows.ts'
import { deploymentFiles } from './deployment-files.ts'
import { dns } from './dns.ts'
import { grants } from './grants.ts'
import { login } from './login.ts'
import { mail } from './mail.ts'
import { migration } from './migration.ts'
import { oldSnapshots } from './old-snapshots.ts'
import { paymentProviders } from './payment-providers.ts'
import { pgmq } from './pgmq.ts'
import { queues } from './queues.ts'
import { roundTrip } from './round-trip.ts'
import { scheduler } from './scheduler.ts'
import { schemaCache } from './schema-cache.ts'
import { stopLimits } from './stop-limits.ts'
import { storage } from './storage.ts'
import { tcp } from './tcp.ts'
import { tls } from './tls.ts'
import { wakeUp } from './wake-up.ts'
import { workers } from './workers.ts'

/** Those that need no connection: `check` does them, too. */
export const LOCAL_CHECKS: readonly Check<Place>[] = [deploymentFiles, build]

export const CHECKS: readonly Check<Parts>[] = [
  stopLimits,
  dns,
  tcp,
  tls,
  login,
  wakeUp,
  databaseUrl,
  schemaCache,
  migration,
  pgmq,
  grants,
  clock,
  connections,
  oldSnapshots,
  queues,
  deadRows,
  mail,
  broker,
  storage,
  paymentProviders,
  workers,
  scheduler,
  roundTrip,
]
