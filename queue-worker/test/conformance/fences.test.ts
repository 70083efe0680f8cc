import { conformance } from '../support/bench.ts'
import { fenceSuite } from './suites/fences.ts'

conformance('fences', fenceSuite)
