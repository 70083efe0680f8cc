import { conformance } from '../support/bench.ts'
import { reportSuite } from './suites/reports.ts'

conformance('reports', reportSuite)
