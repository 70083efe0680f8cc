import { conformance } from '../support/bench.ts'
import { sendSuite } from './suites/sends.ts'

conformance('sending', sendSuite)
