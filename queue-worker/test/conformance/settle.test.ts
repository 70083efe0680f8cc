import { conformance } from '../support/bench.ts'
import { settleSuite } from './suites/settle.ts'

conformance('settling', settleSuite)
