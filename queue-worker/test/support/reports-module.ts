/** Our reports processor for the queues of a test, as a module that a worker process loads. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'vitest'
import type { Kind } from './cli-env.ts'
import type { ReportBench } from './reports.ts'

const source = (path: string) => new URL(`../../src/${path}`, import.meta.url).href

/** Writes it into `processors` of this folder. */
export async function reportsModule(
  cwd: string,
  kind: Kind,
  { queue, emailQueue, folder: files }: ReportBench,
): Promise<void> {
  const { url, secretKey, databaseUrl } = inject('stack')
  const connection =
    kind === 'rpc' ? { kind, url, key: secretKey } : { kind, url: databaseUrl, connections: 2 }
  await mkdir(join(cwd, 'processors'))
  await writeFile(
    join(cwd, 'processors', 'reports.ts'),
    `import { reportsProcessor } from '${source('processors/reports.ts')}'
import { connect } from '${source('services/connect.ts')}'
import { createFileFolder } from '${source('services/file-folder.ts')}'
const transport = connect(${JSON.stringify(connection)})
export default () => reportsProcessor({
  connect: () => transport, close: () => transport.close(),
  storage: createFileFolder(${JSON.stringify(files)}),
  timeZone: 'UTC', statementTimeoutMs: 60000, csv: { bom: false, delimiter: ',' },
  attachBytes: 100000, linkSeconds: 60, queue: '${queue}', emailQueue: '${emailQueue}',
})
`,
  )
}
