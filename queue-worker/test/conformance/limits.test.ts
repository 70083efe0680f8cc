import { conformance } from '../support/bench.ts'
import { breakerSuite } from './suites/breakers.ts'
import { limitSuite } from './suites/limits.ts'

conformance('rate limits', limitSuite)
conformance('breakers', breakerSuite)
