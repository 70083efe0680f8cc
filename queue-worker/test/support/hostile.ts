/**
 * Searches with hostile input. A failure prints its seed; to search from there: HOSTILE_SEED=… npx vitest run <file>
 * (and HOSTILE_RUNS=… for a longer search: that many runs of each).
 */
import fc from 'fast-check'

const { HOSTILE_SEED, HOSTILE_RUNS } = process.env

export type Search = {
  readonly runs: number
  /** After this long no further run is started, so that a busy machine is not a failure. */
  readonly limitMs?: number
}

/**
 * Throws with seed, counterexample and cause when `holds` throws for a value. Says whether all runs were done: what is
 * counted over all of them proves nothing of fewer.
 */
export async function forAll<T>(
  values: fc.Arbitrary<T>,
  { runs, limitMs = 30_000 }: Search,
  holds: (value: T) => Promise<void> | void,
): Promise<{ readonly isComplete: boolean }> {
  const isFree = HOSTILE_SEED === undefined && HOSTILE_RUNS === undefined
  const details = await fc.check(
    fc.asyncProperty(values, async (value) => void (await holds(value))),
    {
      numRuns: Number(HOSTILE_RUNS ?? runs),
      ...(isFree ? { interruptAfterTimeLimit: limitMs } : {}),
      ...(HOSTILE_SEED === undefined ? {} : { seed: Number(HOSTILE_SEED) }),
    },
  )
  if (details.failed) {
    throw new Error(await fc.asyncDefaultReportMessage(details), { cause: details.errorInstance })
  }
  if (details.numRuns === 0) throw new Error('a machine this slow has checked nothing')
  return { isComplete: !details.interrupted }
}

/** Texts that somebody would try: SQL, shells, paths, formats, prototypes, and what is no text at all. */
export const nastyTexts: readonly string[] = [
  '',
  ' ',
  "'",
  '"',
  "'; drop table pgmq.meta; --",
  '"; select pg_sleep(60); --',
  '$$; select 1; $$',
  "x') or ('1'='1",
  '\\',
  '%s %I %L %1$s',
  '#{1+1}<%= 1 %>',
  '{{ "x" | append: "y" }}',
  '$(touch /tmp/never)',
  '../../../etc/passwd',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  'Infinity',
  '-1',
  'x_dlq',
  'q_x',
  'meta',
  'Ünïcödé',
  '𝕏😀',
  '\u202Egnp.exe',
  '\uFEFFbom',
  'a\r\nb: c',
  '\t\u0007\u001b[2J',
  'a'.repeat(44),
  'z'.repeat(3000),
]

export const nastyText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...nastyTexts),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
)
