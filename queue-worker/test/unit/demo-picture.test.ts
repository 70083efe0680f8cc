/** The picture of the README: what the demo said, and nothing of the machine it ran on. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { demoPicture, writtenIn } from '../../../scripts/demo-picture.ts'

const SAID = `queue        id  message          what became of it            attempts
───────────  ──  ───────────────  ───────────────────────────  ────────
email_queue   1  a <b> & a "c"    sent                                1
              2  another          dead letter: unrecoverable          1

Files to open:
  a mail  /home/ada/x.eml

Next:
  psql "postgres://postgres:secret@127.0.0.1/postgres"
`

test('it says what the demo said, in its columns, up to the paths', () => {
  const [shown = ''] = SAID.split('\n\nFiles')
  const picture = demoPicture(SAID)
  expect(writtenIn(picture)).toBe(shown)
  expect(picture).not.toMatch(/ada|secret/)
  expect(picture).toContain('class="bad"')
})

test('the one that is shown has neither path nor password in it', () => {
  const picture = readFileSync(new URL('../../../docs/images/demo.svg', import.meta.url), 'utf8')
  expect(writtenIn(picture).split('\n').length).toBeGreaterThan(30)
  expect(picture).not.toMatch(/postgres:\/\/|\/home|\/tmp|secret_/)
})
