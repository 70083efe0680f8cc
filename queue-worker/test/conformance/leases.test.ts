import { conformance } from '../support/bench.ts'
import { leaseSuite } from './suites/leases.ts'

conformance('leases', leaseSuite)
