/** Durations as people write them. Pure. */
export { parseSeconds } from '../utils/duration.ts'
