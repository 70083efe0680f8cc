import { ConnectionFailure } from '../errors.ts'

/**
 * The SQL function behind an entry point.
 * @throws ConnectionFailure for anything but small letters and underscores, as it becomes part of a statement.
 */
export function functionName(entryPoint: string): string {
  if (/^[a-z_]{1,40}$/.test(entryPoint)) return `queue_worker_${entryPoint}`
  throw new ConnectionFailure(
    'rejected',
    'the name of an entry point may only have small letters and underscores',
    'This is a mistake in the program that calls it.',
    false,
  )
}
