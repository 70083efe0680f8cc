-- queue-worker, 10: the entry points, the only functions that callers use. All take one JSON request with the caller's
-- protocol version and return one JSON value, so PostgREST's row limit and pgmq's changing types cannot touch them.

create or replace function queue_worker.migration() returns text
language sql immutable set search_path = '' as $$ select '20261122001400' $$;
comment on function queue_worker.migration() is 'The newest migration file of the release that was applied, the grants aside.';

create or replace function queue_worker.status() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('protocol', queue_worker.protocol(), 'migration', queue_worker.migration(),
    'pgmq_version', (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pgmq'),
    'postgres_version', current_setting('server_version'),
    'headers', (select coalesce(bool_or('headers' = any (p.proargnames)), false) from pg_catalog.pg_proc p
      where p.pronamespace = 'pgmq'::regnamespace and p.proname = 'send'),
    'role', coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role', session_user))
$$;
comment on function queue_worker.status() is
  'Versions and capabilities: {protocol, migration, pgmq_version (null when installed by script), postgres_version, headers, role}.';

create or replace function queue_worker.exchange(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  settled jsonb;
begin
  settled := queue_worker.settle(request -> 'settlements', request ->> 'worker_id');
  -- read answers for a queue that fails instead of raising, so what was settled always commits.
  return jsonb_build_object('settled', settled, 'read',
    queue_worker.read_as_asked(request));
end $$;
comment on function queue_worker.exchange(jsonb) is 'Settles, then reads; what was settled stays even when a queue''s read fails.';

create or replace function queue_worker.counts(names jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(c.counted order by c.queue_name) filter (where c.counted is not null), '[]')
  from (
    select l.queue_name, queue_worker.count_queue(l.queue_name) as counted
    from pgmq.list_queues() l
    where case when jsonb_typeof(names) = 'array' then names ? l.queue_name::text else true end
      and (l.queue_name !~ '_dlq$' or names ? l.queue_name::text) offset 0) c
$$;
comment on function queue_worker.counts(jsonb) is 'count_queue of the named queues, or of all but the dead-letter queues.';

-- Each line is one entry point: its name, the expression that answers it, and what it is for.
do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('read', $$queue_worker.read_as_asked(request)$$,
      'Reads messages of several queues: {protocol, queues: [{queue, limit, vt_seconds}], max_bytes?, only_given_keys?}. See queue_worker.read.'),
    ('settle', $$queue_worker.settle(request -> 'settlements', request ->> 'worker_id')$$,
      'Records how deliveries ended: {protocol, worker_id, settlements}. See queue_worker.settle.'),
    ('exchange', $$queue_worker.exchange(request)$$,
      'Settles, then reads, in one round trip: {protocol, worker_id, settlements, queues, max_bytes?, only_given_keys?}; returns {settled, read}.'),
    ('extend', $$queue_worker.extend(request -> 'leases')$$,
      'The heartbeat: {protocol, leases}. See queue_worker.extend.'),
    ('isolate', $$to_jsonb(queue_worker.isolate(request -> 'lease', request ->> 'worker_id'))$$,
      'Marks a suspect as running alone: {protocol, worker_id, lease}. See queue_worker.isolate.'),
    ('send', $$queue_worker.send(queue_worker.list_in(request, 'sends'))$$,
      'Sends messages, all or none: {protocol, sends: [{queue, message, headers?, delay_seconds? | at?, idempotency_key?}]}.'),
    ('ensure_queue', $$to_jsonb(queue_worker.ensure_queue(request ->> 'queue', coalesce((request ->> 'notify')::boolean, false))::text)$$,
      'Creates what is missing of a queue: {protocol, queue, notify?}. See queue_worker.ensure_queue.'),
    ('set_paused', $$case when request ->> 'by' is not null then queue_worker.noted('set_paused', request) else to_jsonb(queue_worker.set_paused(request ->> 'queue', (request ->> 'paused')::boolean)::text) end$$,
      'Pauses or resumes a queue for all workers: {protocol, queue, paused, by?}. Resuming closes its breaker.'),
    ('set_rate_limit', $$case when request ->> 'by' is not null then queue_worker.noted('set_rate_limit', request) else to_jsonb(queue_worker.set_rate_limit(request ->> 'queue', (request ->> 'max_messages')::float8,
      (request ->> 'period_seconds')::float8)::text) end$$,
      'Limits the deliveries of a queue within any period, over all workers: {protocol, queue, max_messages, period_seconds, by?}; max_messages null '
      'lifts the limit.'),
    ('drop_queue', $$to_jsonb(queue_worker.drop_queue(request ->> 'queue'))$$,
      'Drops a queue of a stress test and all that belongs to it: {protocol, queue}. See queue_worker.drop_queue.'),
    ('overview', $$queue_worker.overview(case when request ->> 'queues' is not null then queue_worker.list_in(request, 'queues') end)$$,
      'Queues at one glance, cheap at any depth: {protocol, queues?: [name]}; all queues without. See queue_worker.overview.'),
    ('inspect', $$queue_worker.inspect(request ->> 'queue', (request ->> 'msg_id')::bigint)$$,
      'All that is known of one message: {protocol, queue, msg_id}. See queue_worker.inspect.'),
    ('dead_letters', $$queue_worker.list_dead_letters(request ->> 'queue', request, (request ->> 'limit')::int)$$,
      'Lists dead letters: {protocol, queue, msg_ids?, reason?, error?, since?, before?, after_id?, up_to_id?, limit?, max_bytes?, with_messages?}. See queue_worker.list_dead_letters.'),
    ('count_dead_letters', $$queue_worker.count_dead_letters(request ->> 'queue', request)$$,
      'Counts dead letters: {protocol, queue, msg_ids?, reason?, error?, since?, before?, after_id?, up_to_id?, limit?}. See queue_worker.count_dead_letters.'),
    ('redrive', $$case when request ->> 'by' is not null then queue_worker.noted('redrive', request) else queue_worker.redrive(request ->> 'queue', request, (request ->> 'limit')::int,
      coalesce((request ->> 'forget_uncertain')::boolean, false), (request ->> 'per_second')::float8, (request ->> 'delay_seconds')::float8) end$$,
      'Sends dead letters back: {protocol, queue, msg_ids?, reason?, error?, since?, before?, after_id?, up_to_id?, limit?, forget_uncertain?, '
      'per_second?, delay_seconds?, by?}. See queue_worker.redrive.'),
    ('discard_dead_letters', $$case when request ->> 'by' is not null then queue_worker.noted('discard_dead_letters', request) else queue_worker.discard_dead_letters(request ->> 'queue', request, (request ->> 'limit')::int) end$$,
      'Deletes dead letters for good: {protocol, queue, msg_ids? | reason? | error? | since? | before? | all?, after_id?, up_to_id?, limit?, by?}. '
      'See queue_worker.discard_dead_letters.'),
    ('prune', $$queue_worker.prune(request)$$,
      'Deletes records that are no longer needed, a bite a call: {protocol, days?, archive_days?: {queue: days}, limit?, after?}. See queue_worker.prune.'),
    ('ledger_start', $$queue_worker.ledger_start(request ->> 'origin_key', request ->> 'step', coalesce((request ->> 'repeat')::boolean, false),
      request ->> 'token')$$,
      'Starts a step of a message: {protocol, origin_key, step, repeat?, token}. See queue_worker.ledger_start.'),
    ('ledger_finish', $$to_jsonb(queue_worker.ledger_finish(request ->> 'origin_key', request ->> 'step', request -> 'result')::text)$$,
      'Stores the result of a step: {protocol, origin_key, step, result}.'),
    ('ledger_forget', $$to_jsonb(queue_worker.ledger_forget(request ->> 'origin_key', request ->> 'step', request ->> 'token')::text)$$,
      'Takes back the start of a step that did not happen: {protocol, origin_key, step, token?}.'),
    ('beat', $$queue_worker.beat(request)$$,
      'Tells the registry that a worker lives. See queue_worker.beat.'),
    ('status', $$queue_worker.status()$$,
      'Versions and capabilities: {protocol}. See queue_worker.status.'),
    ('diagnose', $$queue_worker.diagnose(queue_worker.list_in(request, 'queues'))$$,
      'What can be wrong in the database, for the doctor: {protocol, queues: [name]}. See queue_worker.diagnose.'),
    ('counts', $$queue_worker.counts(case when request ->> 'queues' is not null then queue_worker.list_in(request, 'queues') end)$$,
      'Exact counts of queues: {protocol, queues?: [name]}; all queues without. See queue_worker.count_queue.')
  ) as e(name, expression, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, entry.expression, entry.purpose,
      case entry.name when 'read' then 'json' else 'jsonb' end);
  end loop;
end $do$;

-- Two of them again as rows (for direct connections) and arrays: they cost the server half as much.
create or replace function public.queue_worker_read_rows(request jsonb)
returns table (queue text, msg_id bigint, delivery int, failures int, interruptions int, died_alone int, enqueued_at text,
  waited_ms float8, origin_key text, message jsonb, headers jsonb, state jsonb)
language plpgsql volatile security definer set search_path = '' set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
declare
  remedy text;
begin
  perform queue_worker.check_request(request);
  return query select r.queue, r.msg_id, r.delivery, r.failures, r.interruptions, r.died_alone, replace(r.enqueued_at::text, ' ', 'T') || ':00', r.waited_ms, r.origin_key,
      r.message, r.headers, r.state
    from queue_worker.read_rows(queue_worker.list_in(request, 'queues'), coalesce((request ->> 'max_bytes')::bigint, 8388608)) r;
exception
  when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'QW002' then
    get stacked diagnostics remedy = pg_exception_hint;
    perform queue_worker.refuse('queue_worker_read_rows', sqlstate, sqlerrm, remedy);
end $$;
comment on function public.queue_worker_read_rows(jsonb) is
  'queue_worker_read as rows: {protocol, queues: [{queue, limit, vt_seconds}], max_bytes?}. See queue_worker.read_rows.';
select queue_worker.keep_private('public.queue_worker_read_rows(jsonb)');

create or replace function public.queue_worker_finish(request jsonb, msg_ids bigint[], deliveries int[], enqueued_ats timestamptz[],
  ran_ms float8[], waited_ms float8[]) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  remedy text;
begin
  perform queue_worker.check_request(request);
  return queue_worker.finish_or_settle(request ->> 'worker_id', request ->> 'queue', request ->> 'outcome', msg_ids, deliveries,
    enqueued_ats, ran_ms, waited_ms);
exception
  when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'QW002' then
    get stacked diagnostics remedy = pg_exception_hint;
    perform queue_worker.refuse('queue_worker_finish', sqlstate, sqlerrm, remedy);
end $$;
comment on function public.queue_worker_finish(jsonb, bigint[], int[], timestamptz[], float8[], float8[]) is
  'queue_worker_settle for deliveries of one queue that all succeeded: {protocol, worker_id, queue, outcome archive|delete} and one entry '
  'of each array a delivery. Returns null when all are ok, else what queue_worker_settle returns.';
select queue_worker.keep_private('public.queue_worker_finish(jsonb, bigint[], int[], timestamptz[], float8[], float8[])');

-- What versions before 0.1.0 had in another form. Last, so that their workers find all they call while the files are applied.
drop function if exists queue_worker.read(jsonb, bigint);
drop function if exists queue_worker.read_queue(text, int, interval, bigint, boolean);
drop function if exists queue_worker.history(text, bigint, timestamptz);
drop function if exists queue_worker.add_stats(text, queue_worker.item[]);
drop function if exists queue_worker.list_dead_letters(text, bigint, int);
drop function if exists queue_worker.redrive(text, bigint[], text, int, boolean);
drop function if exists queue_worker.discard_dead_letters(text, bigint[]);
