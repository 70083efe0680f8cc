/** How checks are run: within their time, in their order, mended where that is wanted, and whatever they throw. */
import { expect, test } from 'vitest'
import { type Check, defineCheck, type MendableFinding } from '../../src/doctor/finding.ts'
import { runChecks } from '../../src/doctor/run.ts'
import { showFindings } from '../../src/doctor/show.ts'
import { ConnectionFailure } from '../../src/errors.ts'

type Patient = { isIll: boolean }

const catalog = { well: { severity: 'ok', why: '' }, ill: { severity: 'error', why: 'It hurts.' } } as const
const options = { fix: false, clean: (text: string) => text, isStopped: () => false }

function check(
  name: string,
  run: (patient: Patient) => Promise<readonly MendableFinding[]>,
  more: { needs?: string[]; limitMs?: number } = {},
): Check<Patient> {
  return defineCheck({ name, group: 'Database', catalog, ...more, run })
}

const found = (severity: 'ok' | 'error', more: Partial<MendableFinding> = {}): MendableFinding[] => [
  { id: severity === 'ok' ? 'well' : 'ill', severity, what: 'what', why: '', how: 'how', ...more },
]
const ids = (examined: Awaited<ReturnType<typeof runChecks>>) =>
  examined.map(({ check: name, findings }) => `${name}: ${findings.map(({ id }) => id).join()}`)

test('what needs something that failed is skipped and names where it began; the rest is looked at', async () => {
  const checks = [
    check('first', async () => found('error')),
    check('second', async () => found('ok'), { needs: ['first'] }),
    check('third', async () => found('ok'), { needs: ['second'] }),
    check('other', async () => found('ok')),
  ]
  const examined = await runChecks(checks, { isIll: true }, options)
  expect(ids(examined)).toEqual(['first: ill', 'second: skipped', 'third: skipped', 'other: well'])
  for (const one of examined.slice(1, 3))
    expect(one.findings[0]?.how).toBe('mend what was found for first first')
})

test('without anything to look at, all is skipped for that reason', async () => {
  const examined = await runChecks([check('first', async () => found('ok'))], 'there is nothing', options)
  expect(examined[0]?.findings[0]).toMatchObject({ id: 'skipped', how: 'there is nothing' })
})

test('a check that hangs is given up at its limit, one that throws is told, and the others are done', async () => {
  const refused = new ConnectionFailure('refused', 'nobody is there', 'Start it.', true)
  const checks = [
    check('hangs', () => new Promise(() => {}), { limitMs: 50 }),
    check('fails', () => Promise.reject(refused)),
    check('breaks', () => Promise.reject(new Error('a mistake'))),
    check('last', async () => found('ok')),
  ]
  const examined = await runChecks(checks, { isIll: true }, options)
  expect(ids(examined)).toEqual([
    'hangs: check_timed_out',
    'fails: check_failed',
    'breaks: check_failed',
    'last: well',
  ])
  expect(examined[1]?.findings[0]).toMatchObject({ what: 'fails: nobody is there', how: 'Start it.' })
  expect(examined[2]?.findings[0]?.what).toBe('breaks: a mistake')
})

/** Can be mended by this. */
const curable = (mend: (patient: Patient) => Promise<string>) =>
  check('illness', async (patient) =>
    patient.isIll ? found('error', { mend: () => mend(patient) }) : found('ok'),
  )

test('--fix mends, tells what it did, and looks again; without it nothing is touched', async () => {
  const patient = { isIll: true }
  const cure = curable(async (one) => {
    one.isIll = false
    return 'gave a pill'
  })
  const [only] = await runChecks([cure], patient, options)
  expect([only?.canMend, only?.mended, patient.isIll]).toEqual([true, [], true])
  const [mended] = await runChecks([cure], patient, { ...options, fix: true })
  expect([mended?.mended, mended?.findings[0]?.id, mended?.canMend]).toEqual([['gave a pill'], 'well', false])
  const [again] = await runChecks([cure], patient, { ...options, fix: true })
  expect([again?.mended, again?.findings[0]?.id]).toEqual([[], 'well'])
})

test('a mending that fails is told, beside what is still wrong', async () => {
  const cure = curable(() => Promise.reject(new Error('no pills left')))
  const [examined] = await runChecks([cure], { isIll: true }, { ...options, fix: true })
  expect(examined?.findings.map(({ id }) => id)).toEqual(['ill', 'mend_failed'])
  expect(examined?.findings[1]?.what).toBe('not mended (what): no pills left')
})

test('after a stop nothing is begun', async () => {
  let isStopped = false
  const checks = [
    check('first', async () => {
      isStopped = true
      return found('ok')
    }),
    check('second', async () => found('ok')),
  ]
  const examined = await runChecks(checks, { isIll: false }, { ...options, isStopped: () => isStopped })
  expect(ids(examined)).toEqual(['first: well', 'second: skipped'])
})

test('secrets are taken out of all that is told, also what only looks like one', async () => {
  const secret = 'p@ss word'
  const leaky = check('leaky', async () =>
    found('error', {
      what: `it said ${secret}`,
      how: 'not postgres://u:hidden@h/d',
      mend: async () => secret,
    }),
  )
  const clean = (text: string) => text.replaceAll(secret, '[redacted]')
  const [examined] = await runChecks([leaky], { isIll: true }, { ...options, fix: true, clean })
  expect(JSON.stringify(examined)).not.toMatch(/p@ss word|hidden/)
  expect(examined?.mended).toEqual(['[redacted]'])
})

test('what others wrote reaches no terminal with control characters', () => {
  const [finding] = found('error', { what: 'it said \u001b[2J', how: 'ask\n\u202ethem' })
  const shown = showFindings(finding === undefined ? [] : [finding])
  expect(shown).toContain('it said \uFFFD[2J')
  expect(shown).not.toMatch(/[^\P{C}\n]/u)
})
