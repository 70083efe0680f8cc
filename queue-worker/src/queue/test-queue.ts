/** Queues that our own tests of a set-up make: `stress_` or `doctor_` and 16 hex digits. */
import type { Transport } from './contract.ts'
import { PROTOCOL } from './queue.ts'

/** Removes the queue and all rows about it, in as many calls as that takes; harmless when there is nothing. */
export async function removeTestQueue({ call }: Pick<Transport, 'call'>, queue: string): Promise<void> {
  while ((await call('drop_queue', { protocol: PROTOCOL, queue })) === false);
}
