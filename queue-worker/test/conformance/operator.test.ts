import { conformance } from '../support/bench.ts'
import { operatorSuite } from './suites/operator.ts'

conformance('what an operator asks', operatorSuite)
