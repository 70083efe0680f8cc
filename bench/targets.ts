/** What is compared with what, and where the bar is. */
export type Target = {
  readonly name: string
  readonly group: string
  /** Divided by `base`, or by a number; alone if there is none. */
  readonly of: string
  readonly base?: string | number
  readonly atLeast?: number
  readonly atMost?: number
}

export const TARGETS: readonly Target[] = [
  {
    name: 'direct / floor',
    group: 'drain',
    of: 'direct, batches of 500',
    base: 'floor, batches of 500',
    atLeast: 0.8,
  },
  {
    name: 'direct with defaults / floor',
    group: 'drain',
    of: 'direct, defaults',
    base: 'floor, batches of 500',
    atLeast: 0.4,
  },
  {
    name: 'RPC / floor over REST',
    group: 'drain',
    of: 'RPC, batches of 500',
    base: 'floor over REST, batches of 500',
    atLeast: 0.8,
  },
  {
    name: 'RPC with defaults / floor over REST',
    group: 'drain',
    of: 'RPC, defaults',
    base: 'floor over REST, batches of 500',
    atLeast: 0.4,
  },
  {
    name: 'median latency, direct / floor',
    group: 'latency',
    of: 'direct, median',
    base: 'floor, median',
    atMost: 1.5,
  },
  {
    name: '99th percentile, direct / floor',
    group: 'latency',
    of: 'direct, 99th percentile',
    base: 'floor, 99th percentile',
    atMost: 1.5,
  },
  {
    name: '1,000,000 / 10,000 deep, direct',
    group: 'growth',
    of: 'direct, 1,000,000 deep',
    base: 'direct, 10,000 deep',
    atLeast: 0.9,
  },
  {
    name: '1,000,000 / 10,000 deep, RPC',
    group: 'growth',
    of: 'RPC, 1,000,000 deep',
    base: 'RPC, 10,000 deep',
    atLeast: 0.9,
  },
  {
    name: 'behind 100,000 delayed / without',
    group: 'growth',
    of: 'direct, behind 100,000 delayed',
    base: 'direct, 10,000 deep',
    atLeast: 0.7,
  },
  {
    name: 'slow, direct / (concurrency / duration)',
    group: 'slow',
    of: 'direct, 20 ms, concurrency 100',
    base: 5000,
    atLeast: 0.95,
  },
  {
    name: 'slow, RPC / (concurrency / duration)',
    group: 'slow',
    of: 'RPC, 20 ms, concurrency 100',
    base: 5000,
    atLeast: 0.95,
  },
  { name: 'memory, direct', group: 'memory', of: 'direct, 1,000,000 deep, heap bounded', atMost: 120 },
  { name: 'memory, RPC', group: 'memory', of: 'RPC, 1,000,000 deep, heap bounded', atMost: 120 },
  {
    name: 'idle, direct: statements a minute',
    group: 'idle',
    of: 'direct, three queues: statements',
    atMost: 12,
  },
  { name: 'idle, direct: % of a core', group: 'idle', of: 'direct, three queues: processor', atMost: 0.3 },
  { name: 'idle, RPC: requests a minute', group: 'idle', of: 'RPC, three queues: requests', atMost: 30 },
  { name: 'idle, RPC: % of a core', group: 'idle', of: 'RPC, three queues: processor', atMost: 0.3 },
]
