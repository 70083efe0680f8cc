import { conformance } from '../support/bench.ts'
import { refusalSuite } from './suites/refusals.ts'

conformance('refusals', refusalSuite)
