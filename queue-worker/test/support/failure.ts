import { ConnectionFailure } from '../../src/errors.ts'

/** The failure that a call is expected to end with. */
export async function failureOf(call: Promise<unknown>): Promise<ConnectionFailure> {
  try {
    await call
  } catch (error) {
    if (error instanceof ConnectionFailure) return error
    throw error
  }
  throw new Error('the call succeeded')
}
