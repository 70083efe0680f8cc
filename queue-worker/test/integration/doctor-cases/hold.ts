/** Each case, broken on a bench: the doctor names it and nothing else, tells the remedy, and mends what it says it can. */
import { expect, test } from 'vitest'
import { visit } from '../../support/doctor.ts'
import type { DoctorBench } from '../../support/doctor-bench.ts'
import type { Case } from './case.ts'

export function holdDoctorTo(bench: DoctorBench, cases: readonly Case[]): void {
  test.each(cases)(
    '$what over $kind: $finds',
    async ({ kind, breaks, finds, also = [], says, remedy, fixed, preload, code }) => {
      const changed = await breaks(bench)
      const env = { ...bench.env(kind), ...changed }
      const seen = await visit(bench.cwd, env, [], preload)
      expect(seen.problems, seen.told).toEqual([finds, ...also].sort())
      const found = seen.findings.find(({ id }) => id === finds)
      expect(found?.what).toMatch(says)
      expect(found?.how).toMatch(remedy)
      expect(found?.why).not.toBe('')
      expect(seen.code).toBe(code ?? (seen.examination.counts.error > 0 ? 1 : 0))
      for (const secret of [bench.stack.secretKey, new URL(bench.stack.databaseUrl).password])
        expect(seen.text).not.toContain(secret)
      if (fixed === undefined) return

      const mending = await visit(bench.cwd, env, ['--fix'])
      expect(mending.mended.join('\n'), mending.told).toMatch(fixed.did)
      expect(mending.problems, mending.told).toEqual(fixed.leaves ?? [])
      const again = await visit(bench.cwd, env, ['--fix'])
      expect([again.mended, again.problems]).toEqual([[], fixed.leaves ?? []])
    },
  )
}
