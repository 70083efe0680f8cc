import { conformance } from '../support/bench.ts'
import { deadLetterSuite } from './suites/dead-letters.ts'

conformance('dead letters', deadLetterSuite)
