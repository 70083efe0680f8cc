-- queue-worker, 9: the effects ledger and the registry of workers.

-- The token names the run that starts the step: asking again after a lost answer is not mistaken for a second run.
create or replace function queue_worker.ledger_start(origin_key text, step text, repeat boolean, token text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  known record;
begin
  insert into queue_worker.ledger as l (origin_key, step, state, started_by)
  values (ledger_start.origin_key, ledger_start.step, 'started', token) on conflict do nothing;
  if found then
    return '{"state": "new"}';
  end if;
  select l.state, l.result, l.started_at, l.started_by into known from queue_worker.ledger l
  where l.origin_key = ledger_start.origin_key and l.step = ledger_start.step for update;
  if not found then -- forgotten in between
    return queue_worker.ledger_start(origin_key, step, repeat, token);
  elsif known.state = 'done' then
    return jsonb_build_object('state', 'done', 'result', known.result);
  elsif known.started_by = token then
    return '{"state": "new"}';
  elsif repeat then
    update queue_worker.ledger l set started_at = clock_timestamp(), started_by = token
    where l.origin_key = ledger_start.origin_key and l.step = ledger_start.step;
    return '{"state": "new"}';
  end if;
  return jsonb_build_object('state', 'uncertain', 'started_at', known.started_at);
end $$;
comment on function queue_worker.ledger_start(text, text, boolean, text) is
  'Marks a step as started by the run that token names. new: run it. done: here is its result. uncertain: another run started '
  'it and its end is not known (with repeat this too answers new).';

create or replace function queue_worker.ledger_finish(origin_key text, step text, result jsonb) returns void
language sql set search_path = '' as $$
  insert into queue_worker.ledger as l (origin_key, step, state, result, done_at)
  values ($1, $2, 'done', $3, clock_timestamp())
  on conflict on constraint ledger_pkey do update set state = 'done', result = excluded.result, done_at = excluded.done_at
  where l.state = 'started'
$$;
comment on function queue_worker.ledger_finish(text, text, jsonb) is 'Stores the result of a step; the first result stands.';

create or replace function queue_worker.ledger_forget(origin_key text, step text, token text) returns void
language sql set search_path = '' as $$
  delete from queue_worker.ledger l where l.origin_key = $1 and l.step = $2 and l.state = 'started'
    and ($3 is null or l.started_by = $3)
$$;
comment on function queue_worker.ledger_forget(text, text, text) is
  'Takes back a start whose step is known not to have happened; with a token only the start of that run.';

create or replace function queue_worker.beat(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  asked boolean;
begin
  insert into queue_worker.workers as w (worker_id, instance, version, host, pid, queues, in_flight, stopping, schedules)
  select x.worker_id, x.instance, x.version, x.host, x.pid, x.queues, x.in_flight, coalesce(x.stopping, false),
    coalesce(x.schedules, false)
  from jsonb_to_record(request) as x(worker_id text, instance text, version text, host text, pid int, queues text[],
    in_flight int, stopping boolean, schedules boolean)
  on conflict on constraint workers_pkey do update set seen_at = clock_timestamp(), in_flight = excluded.in_flight,
    queues = excluded.queues, stopping = excluded.stopping, schedules = excluded.schedules
  returning w.drain into asked;
  perform queue_worker.sample_arrivals(array(select jsonb_array_elements_text(request -> 'queues')));
  return jsonb_build_object('drain', asked);
end $$;
comment on function queue_worker.beat(jsonb) is
  'Tells the registry that a worker or a scheduler lives {worker_id, instance, version, host, pid, queues, in_flight, stopping?, schedules?}; '
  'returns {drain}: whether it is asked to finish its work and stop. Once a minute it notes how far the ids of its queues have come.';
