import { conformance } from '../support/bench.ts'
import { lostAnswerSuite } from './suites/lost-answers.ts'

conformance('every answer lost once', lostAnswerSuite)
