/** What `import 'queue-worker/testing'` gives. See docs/testing-a-processor.md. */
export type { DeadLetter } from '../queue/operator.ts'
export type { Clock } from './clock.ts'
export { createTestKit, type TestKit, type TestKitOptions } from './kit.ts'
export type { Archived, Waiting } from './look.ts'
export type { Ran } from './ran.ts'
