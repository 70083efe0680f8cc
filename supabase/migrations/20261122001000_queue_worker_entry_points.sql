-- queue-worker, 10: the entry points, the only functions that callers use. All take one JSON request with the caller's
-- protocol version and return one JSON value, so PostgREST's row limit and pgmq's changing types cannot touch them.

create or replace function queue_worker.migration() returns text
language sql immutable set search_path = '' as $$ select '20261122001000' $$;
comment on function queue_worker.migration() is 'The newest migration file that was applied.';

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

create or replace function queue_worker.bigints(list jsonb) returns bigint[]
language plpgsql immutable set search_path = '' as $$
begin
  if coalesce(jsonb_typeof(list), 'null') not in ('null', 'array') then
    raise exception 'queue-worker: ids must be an array' using errcode = 'QW002', hint = 'For example: "msg_ids": [41, 42].';
  end if;
  return case when jsonb_typeof(list) = 'array' -- an empty list means none, not all
    then coalesce((select array_agg(v.value::bigint) from jsonb_array_elements_text(list) v), '{}') end;
end $$;
comment on function queue_worker.bigints(jsonb) is 'A JSON array of numbers or digit strings as bigint[]; null for none. Raises QW002 for anything else.';

create or replace function queue_worker.exchange(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  settled constant jsonb := queue_worker.settle(request -> 'settlements', request ->> 'worker_id');
begin
  -- read answers for a queue that fails instead of raising, so what was settled always commits.
  return jsonb_build_object('settled', settled, 'read',
    queue_worker.read(request -> 'queues', coalesce((request ->> 'max_bytes')::bigint, 8388608)));
end $$;
comment on function queue_worker.exchange(jsonb) is 'Settles, then reads; what was settled stays even when a queue''s read fails.';

create or replace function queue_worker.counts(names jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(queue_worker.count_queue(l.queue_name) order by l.queue_name), '[]')
  from pgmq.list_queues() l
  where case when jsonb_typeof(names) = 'array' then names ? l.queue_name::text else true end
    and queue_worker.queue_table(l.queue_name) is not null
    and (l.queue_name !~ '_dlq$' or names ? l.queue_name::text)
$$;
comment on function queue_worker.counts(jsonb) is 'count_queue of the named queues, or of all but the dead-letter queues.';

-- Each line is one entry point: its name, the expression that answers it, and what it is for.
do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('read', $$queue_worker.read(request -> 'queues', coalesce((request ->> 'max_bytes')::bigint, 8388608))$$,
      'Reads messages of several queues: {protocol, queues: [{queue, limit, vt_seconds}], max_bytes?}. See queue_worker.read.'),
    ('settle', $$queue_worker.settle(request -> 'settlements', request ->> 'worker_id')$$,
      'Records how deliveries ended: {protocol, worker_id, settlements}. See queue_worker.settle.'),
    ('exchange', $$queue_worker.exchange(request)$$,
      'Settles, then reads, in one round trip: {protocol, worker_id, settlements, queues, max_bytes?}; returns {settled, read}.'),
    ('extend', $$queue_worker.extend(request -> 'leases')$$,
      'The heartbeat: {protocol, leases}. See queue_worker.extend.'),
    ('isolate', $$to_jsonb(queue_worker.isolate(request -> 'lease', request ->> 'worker_id'))$$,
      'Marks a suspect as running alone: {protocol, worker_id, lease}. See queue_worker.isolate.'),
    ('send', $$queue_worker.send(request -> 'sends')$$,
      'Sends messages, all or none: {protocol, sends: [{queue, message, headers?, delay_seconds? | at?, idempotency_key?}]}.'),
    ('ensure_queue', $$to_jsonb(queue_worker.ensure_queue(request ->> 'queue', coalesce((request ->> 'notify')::boolean, false))::text)$$,
      'Creates what is missing of a queue: {protocol, queue, notify?}. See queue_worker.ensure_queue.'),
    ('set_paused', $$to_jsonb(queue_worker.set_paused(request ->> 'queue', (request ->> 'paused')::boolean)::text)$$,
      'Pauses or resumes a queue for all workers: {protocol, queue, paused}.'),
    ('dead_letters', $$queue_worker.list_dead_letters(request ->> 'queue', (request ->> 'after_id')::bigint, (request ->> 'limit')::int)$$,
      'Lists dead letters: {protocol, queue, after_id?, limit?}. See queue_worker.list_dead_letters.'),
    ('redrive', $$queue_worker.redrive(request ->> 'queue', queue_worker.bigints(request -> 'msg_ids'), request ->> 'reason',
      (request ->> 'limit')::int, coalesce((request ->> 'forget_uncertain')::boolean, false))$$,
      'Sends dead letters back: {protocol, queue, msg_ids?, reason?, limit?, forget_uncertain?}. See queue_worker.redrive.'),
    ('discard_dead_letters', $$to_jsonb(queue_worker.discard_dead_letters(request ->> 'queue', queue_worker.bigints(request -> 'msg_ids')))$$,
      'Deletes dead letters for good: {protocol, queue, msg_ids}; returns how many.'),
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
    ('counts', $$queue_worker.counts(request -> 'queues')$$,
      'Exact counts of queues: {protocol, queues?: [name]}; all queues without. See queue_worker.count_queue.')
  ) as e(name, expression, purpose)
  loop
    execute format($sql$
      create or replace function public.%I(request jsonb) returns jsonb
      language plpgsql volatile security definer set search_path = '' as $body$
      begin
        perform queue_worker.check_request(request);
        return %s;
      end $body$ $sql$, 'queue_worker_' || entry.name, entry.expression);
    perform queue_worker.keep_private(format('public.%I(jsonb)', 'queue_worker_' || entry.name)::regprocedure);
    execute format('comment on function public.%I(jsonb) is %L', 'queue_worker_' || entry.name, entry.purpose);
  end loop;
end $do$;
