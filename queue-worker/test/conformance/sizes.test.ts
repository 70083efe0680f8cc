import { conformance } from '../support/bench.ts'
import { sizeSuite } from './suites/sizes.ts'

conformance('sizes', sizeSuite)
