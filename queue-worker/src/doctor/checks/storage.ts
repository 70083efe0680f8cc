/** Whether finished reports can be put where they belong. Leaves nothing there. */
import { writeFile } from 'node:fs/promises'
import { coerceError } from '../../errors.ts'
import { openStorage } from '../../processors/reports-configured.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

const PROBE = 'queue-worker-doctor.txt'

export const storage = defineCheck({
  name: 'storage',
  group: 'Other systems',
  catalog: {
    storage_ok: { severity: 'ok', why: '' },
    bucket_unusable: {
      severity: 'error',
      why: 'Finished reports cannot be kept; their messages are retried.',
    },
    folder_unusable: {
      severity: 'error',
      why: 'Finished reports cannot be kept; their messages are retried.',
    },
  },
  async run({ config }: Parts, tell) {
    const { dir, bucket } = config.reports
    if ((dir ?? bucket) === undefined) return []
    const files = openStorage(config)
    const place = files.kind === 'folder' ? `the folder ${dir}` : `the bucket ${bucket}`
    try {
      if (files.kind === 'bucket') await files.size(PROBE)
      else {
        const path = await files.begin(PROBE)
        await writeFile(path, 'The doctor was here.').finally(() => files.discard(path))
      }
      return [tell('storage_ok', `${place} takes reports`)]
    } catch (error) {
      const what = `${place} cannot be used: ${coerceError(error).message}`
      return files.kind === 'bucket'
        ? [
            tell(
              'bucket_unusable',
              what,
              `Make a private bucket "${bucket}" in Storage, or correct REPORTS_BUCKET.`,
            ),
          ]
        : [
            tell(
              'folder_unusable',
              what,
              'Let the user of the worker write there, or set REPORTS_DIR to another folder.',
            ),
          ]
    } finally {
      await files.close()
    }
  },
})
