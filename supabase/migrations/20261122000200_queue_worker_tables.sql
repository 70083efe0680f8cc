-- queue-worker, 2: what must survive a crash and pgmq has no place for. Columns are only ever added.

create table if not exists queue_worker.queues (
  queue text primary key,
  paused boolean not null default false,
  changed_at timestamptz not null default clock_timestamp()
);
alter table queue_worker.queues add column if not exists archive_retention_days int check (archive_retention_days > 0);
alter table queue_worker.queues
  add column if not exists rate_limit int,
  add column if not exists rate_period interval,
  add column if not exists breaker_until timestamptz, -- null: closed; passed: half-open
  add column if not exists breaker_reason text,
  add column if not exists breaker_trips int not null default 0,
  add column if not exists breaker_opened_at timestamptz,
  add column if not exists probe_msg_id bigint,
  add column if not exists probe_enqueued_at timestamptz,
  add column if not exists probe_delivery int;
comment on table queue_worker.queues is
  'Queues this product knows: whether they are paused for all workers, their rate limit, their breaker and the delivery that probes it, and how '
  'long their archives are kept (null: for ever).';

create table if not exists queue_worker.grants (
  queue text not null,
  granted_at timestamptz not null, -- rounded up to a thousandth of the period: a queue never has many rows
  messages int not null,
  primary key (queue, granted_at)
) with (fillfactor = 50);
comment on table queue_worker.grants is 'Deliveries of queues with a rate limit, within their last period.';

create table if not exists queue_worker.outcomes (
  queue text not null,
  msg_id bigint not null,
  enqueued_at timestamptz not null, -- part of the identity: a dropped and recreated queue starts its ids anew
  delivery int not null,
  outcome text not null check (outcome in ('retry', 'release', 'snooze', 'dead')),
  error text,
  worker_id text,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (queue, msg_id, enqueued_at, delivery)
);
comment on table queue_worker.outcomes is
  'How deliveries ended that did not archive or delete their message. One row a delivery: the fence of settle.';
create index if not exists outcomes_recorded_at on queue_worker.outcomes (recorded_at);

create table if not exists queue_worker.isolations (
  queue text not null,
  msg_id bigint not null,
  enqueued_at timestamptz not null,
  delivery int not null,
  worker_id text,
  started_at timestamptz not null default clock_timestamp(),
  primary key (queue, msg_id, enqueued_at, delivery)
);
comment on table queue_worker.isolations is
  'Deliveries of which a suspect ran alone. One without an outcome is a death that only this message can have caused.';

create table if not exists queue_worker.origins (
  queue text not null,
  msg_id bigint not null,
  enqueued_at timestamptz not null,
  origin_key text not null,
  primary key (queue, msg_id, enqueued_at)
);
comment on table queue_worker.origins is 'Origin keys that are not computed: of redriven messages and of those a producer gave one.';
create index if not exists origins_enqueued_at on queue_worker.origins (enqueued_at);
create index if not exists origins_origin_key on queue_worker.origins using hash (origin_key); -- however long a key is

create table if not exists queue_worker.sent_keys (
  queue text not null,
  idempotency_key text not null,
  msg_id bigint,
  sent_at timestamptz not null default clock_timestamp(),
  primary key (queue, idempotency_key)
);
comment on table queue_worker.sent_keys is 'Idempotency keys of sends: the same key again sends nothing.';
create index if not exists sent_keys_sent_at on queue_worker.sent_keys (sent_at);

create table if not exists queue_worker.ledger (
  origin_key text not null,
  step text not null,
  state text not null check (state in ('started', 'done')),
  result jsonb,
  started_by text,
  started_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  primary key (origin_key, step)
);
comment on table queue_worker.ledger is 'Effects of messages, by origin key and step. Outlives the message and its dead letter.';
create index if not exists ledger_started_at on queue_worker.ledger (started_at);

create table if not exists queue_worker.stats (
  queue text not null,
  minute timestamptz not null,
  backend int not null, -- the writing session: concurrent settles never wait for each other's row
  archived bigint not null default 0,
  deleted bigint not null default 0,
  retried bigint not null default 0,
  dead bigint not null default 0,
  released bigint not null default 0,
  snoozed bigint not null default 0,
  ran_ms double precision not null default 0,
  ran_ms_max double precision not null default 0,
  waited_ms double precision not null default 0,
  waited_ms_max double precision not null default 0,
  primary key (queue, minute, backend)
) with (fillfactor = 50);
comment on table queue_worker.stats is
  'Outcomes per queue and minute with run and wait times in milliseconds (sums and maxima). Sum over backend.';
create index if not exists stats_minute on queue_worker.stats (minute);

create table if not exists queue_worker.workers (
  worker_id text not null,
  instance text not null,
  version text not null,
  host text not null,
  pid int not null,
  queues text[] not null,
  in_flight int not null,
  stopping boolean not null default false,
  drain boolean not null default false,
  schedules boolean not null default false,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  primary key (worker_id, instance)
);
comment on table queue_worker.workers is
  'Workers and schedulers by id and process; schedules: it sends what schedules ask for; one without queues does nothing else. Set drain to ask one to stop: update queue_worker.workers set drain = true where worker_id = ''…''.';

create table if not exists queue_worker.arrivals (
  queue text not null,
  minute timestamptz not null,
  last_id bigint not null,
  sampled_at timestamptz not null default clock_timestamp(), -- within that minute
  primary key (queue, minute)
);
comment on table queue_worker.arrivals is
  'The newest id that a queue had given out, once a minute while it has workers: what was sent between two is their difference.';
create index if not exists arrivals_minute on queue_worker.arrivals (minute);

create table if not exists queue_worker.audit (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  by text not null,
  action text not null,
  queue text,
  target jsonb not null,
  ids bigint[] not null default '{}',
  count int not null,
  kept jsonb, -- what an undo needs; null: it cannot be undone
  undone_by text,
  undone_at timestamptz
);
comment on table queue_worker.audit is
  'What people did, written in the transaction that did it: who, when, what was asked (never a payload), which messages. Kept for 30 days.';
comment on sequence queue_worker.audit_id_seq is 'The ids of the audit.';
create index if not exists audit_at on queue_worker.audit (at);

create table if not exists queue_worker.migrations (
  name text primary key,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
);
comment on table queue_worker.migrations is 'Files applied by `queue-worker migrate` (not by the Supabase CLI, which keeps its own list).';
