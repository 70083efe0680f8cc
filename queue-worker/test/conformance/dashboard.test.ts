import { conformance } from '../support/bench.ts'
import { actionsSuite } from './suites/actions.ts'
import { browseSuite } from './suites/browse.ts'
import { glanceSuite } from './suites/glance.ts'
import { pagesSuite } from './suites/pages.ts'
import { undoSuite } from './suites/undo.ts'

conformance('what a dashboard shows', glanceSuite)
conformance('what a dashboard lists', browseSuite)
conformance('pages of messages', pagesSuite)
conformance('what a person does', actionsSuite)
conformance('what a person takes back', undoSuite)
