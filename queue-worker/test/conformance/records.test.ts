import { conformance } from '../support/bench.ts'
import { recordSuite } from './suites/records.ts'

conformance('ledger, registry and status', recordSuite)
