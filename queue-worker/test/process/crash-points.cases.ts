/** The moments at which crash-points.test.ts kills a worker; what the fields mean is told in crash-points.case.ts. */
import type { Case } from './crash-points.case.ts'
import type { DeathPoint } from './fixtures/orders.ts'

const before = (call: string): DeathPoint => ({ call, when: 'before' })
const after = (call: string): DeathPoint => ({ call, when: 'after' })
const interrupted = (interruptions: number, diedAlone = 0) => ({ interruptions, diedAlone })

/** Comes back, and is done by its second delivery. */
const again = { left: 'hidden from the read', starts: 2, returned: interrupted(1), deliveries: 2 } as const
/** Had its end before the death. */
const done = { left: 'nothing', starts: 1, returned: null, deliveries: 1 } as const
/** Comes back, and its second delivery finds a step that nobody knows the end of. */
const held = { ...again, ends: 'dead', outcomes: ['2 dead'], error: 'its end is not known' } as const
/** Runs long enough, the first time, for what is to come. */
const beating = { mode: 'waits_first', told: 'die', orders: { heartbeatSeconds: 0.5 }, ...again } as const
const stopped = { mode: 'waits_first', told: 'stop', ...again } as const
const alone = { suspect: true, ...again, starts: 1, deliveries: 4 } as const

export const cases: readonly Case[] = [
  {
    name: 'before a read is sent',
    dieAt: before('read'),
    ...again,
    left: 'untouched',
    starts: 1,
    returned: null,
    deliveries: 1,
  },
  {
    name: 'after a read, before its answer is dealt with',
    dieAt: after('read'),
    waits: true,
    ...again,
    starts: 1,
  },
  {
    name: 'while the message waits in the buffer for a free slot',
    // The first, over at once, makes the worker fetch ahead: the second and the message come in one read.
    others: [
      { n: 2, mode: 'skips' },
      { n: 3, mode: 'dies' },
    ],
    orders: { concurrency: 1 },
    ...again,
    starts: 1,
  },
  { name: 'in the processor', mode: 'dies', ...again },
  {
    name: 'after a step was started in the ledger, before its effect',
    dieAt: after('ledger_start'),
    mode: 'once',
    ...held,
  },
  {
    name: 'after the effect of a step, before the ledger has its result (held)',
    mode: 'dies_in_once',
    ...held,
    effects: 1,
  },
  {
    name: 'after the effect of a step, before the ledger has its result (repeated)',
    mode: 'dies_in_once',
    message: { uncertain: 'repeat' },
    ...again,
    effects: 2,
  },
  {
    name: 'after the ledger has the result of a step, before the answer is seen',
    dieAt: after('ledger_finish'),
    mode: 'once',
    ...again,
    effects: 1,
  },
  {
    name: 'after a step is done, in the rest of the processor',
    mode: 'dies_after_once',
    ...again,
    effects: 1,
  },
  { name: 'after the outcome is known, before it is handed on', dieAt: { event: 'finished' }, ...again },
  { name: 'before a settle is sent', dieAt: before('settle'), ...again },
  { name: 'after a settle is done, before its answer is seen', dieAt: after('settle'), ...done },
  { name: 'after a settle is answered', dieAt: { event: 'settled' }, ...done },
  {
    name: 'before a settle that deletes is sent',
    dieAt: before('settle'),
    orders: { onSuccess: 'delete' },
    ...again,
    ends: 'deleted',
  },
  {
    name: 'after a settle that deletes is done, before its answer is seen',
    dieAt: after('settle'),
    orders: { onSuccess: 'delete' },
    ...done,
    ends: 'deleted',
  },
  {
    name: 'before a settle that sends a follow-up',
    dieAt: before('settle'),
    mode: 'sends',
    ...again,
    sent: 0,
  },
  {
    name: 'after a settle that has sent a follow-up, before its answer is seen',
    dieAt: after('settle'),
    mode: 'sends',
    ...done,
    sent: 1,
  },
  { name: 'before a failure is recorded', dieAt: before('settle'), mode: 'fails_first', ...again },
  {
    name: 'after a failure is recorded, before its answer is seen',
    dieAt: after('settle'),
    mode: 'fails_first',
    ...again,
    left: 'put off',
    returned: null,
    outcomes: ['1 retry'],
  },
  {
    name: 'before a trip of the breaker is recorded',
    dieAt: before('settle'),
    mode: 'outage_first',
    ...again,
  },
  {
    name: 'after a trip of the breaker is recorded, before its answer is seen',
    dieAt: after('settle'),
    mode: 'outage_first',
    ...again,
    left: 'put off',
    returned: null,
    outcomes: ['1 snooze'],
  },
  {
    name: 'before the move to the dead letters',
    dieAt: before('settle'),
    mode: 'unrecoverable',
    ...held,
    error: 'it can never be done',
  },
  {
    name: 'after the move to the dead letters, before its answer is seen',
    dieAt: after('settle'),
    mode: 'unrecoverable',
    ...done,
    ends: 'dead',
    outcomes: ['1 dead'],
    error: 'it can never be done',
  },
  { name: 'before a heartbeat is sent', dieAt: before('extend'), ...beating },
  {
    name: 'after a heartbeat is done, before its answer is seen',
    dieAt: after('extend'),
    ...beating,
    left: 'hidden from later on',
  },
  { name: 'when it begins to stop, while a processor runs', dieAt: { event: 'stopping' }, ...stopped },
  { name: 'in a stop, before what did not finish is given back', dieAt: before('settle'), ...stopped },
  {
    name: 'in a stop, after what did not finish was given back',
    dieAt: after('settle'),
    ...stopped,
    left: 'visible',
    returned: null,
    outcomes: ['1 release'],
  },
  {
    name: 'before a suspect is marked as running alone',
    dieAt: before('isolate'),
    ...alone,
    returned: interrupted(3),
  },
  {
    name: 'after a suspect is marked as running alone, before it begins',
    dieAt: after('isolate'),
    ...alone,
    left: 'hidden from later on',
    isolated: [3],
    returned: interrupted(3, 1),
  },
  {
    name: 'in a transaction after its writes',
    mode: 'transaction',
    message: { dies: 'inside' },
    only: 'postgres',
    ...again,
    effects: 1,
  },
  {
    name: 'in a transaction after its settle, before the commit',
    dieAt: after('settle'),
    mode: 'transaction',
    only: 'postgres',
    ...again,
    effects: 1,
  },
  {
    name: 'after a transaction has committed',
    mode: 'transaction',
    message: { dies: 'after' },
    only: 'postgres',
    ...done,
    effects: 1,
  },
]
