/** The outcome of a call to the database as a value: what it answered, or how it failed. */
import { ConnectionFailure } from '../errors.ts'

export type CallOutcome<T> =
  | { readonly status: T; readonly failure?: undefined }
  | { readonly status?: undefined; readonly failure: ConnectionFailure }

/** Throws what is no failure of the connection. */
export async function outcomeOf<T>(call: () => Promise<T>): Promise<CallOutcome<T>> {
  try {
    return { status: await call() }
  } catch (error) {
    if (error instanceof ConnectionFailure) return { failure: error }
    throw error
  }
}
