import { conformance } from '../support/bench.ts'
import { readSuite } from './suites/read.ts'

conformance('reading', readSuite)
