-- queue-worker, 9: queues at one glance, at a price that does not grow with their depth.

-- Behind a function of our own, so that no view depends on pgmq's types and hinders its upgrades.
create or replace function queue_worker.queue_names() returns setof text
language sql stable set search_path = '' as $$ select l.queue_name::text from pgmq.list_queues() l $$;
comment on function queue_worker.queue_names() is 'The names of all queues, dead-letter queues among them.';

create or replace function queue_worker.estimated_rows(source regclass, hidden_at timestamptz) returns bigint
language plpgsql set search_path = '' as $$
declare
  plan json;
begin
  if hidden_at is null then
    execute format('explain (format json) select from %s', source) into plan;
  else
    execute format('explain (format json) select from %s m where m.vt > %L', source, hidden_at) into plan;
  end if;
  return (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
end $$;
comment on function queue_worker.estimated_rows(regclass, timestamptz) is
  'How many messages the planner believes a queue to have, or of them those that are hidden at a time. Reads none.';

-- Counts up to `most` of each kind through the index on vt. In flight and retrying are looked for among those that become visible soonest,
-- which they are; what is beyond those is taken for delayed. What became of the last delivery is asked of 300 of them, evenly spread.
create or replace function queue_worker.count_states(queue text, most int, most_soonest int)
returns table (ready bigint, in_flight bigint, delayed bigint, retrying bigint, dead bigint, oldest_ready_seconds float8, estimated text[])
language plpgsql set search_path = '' set jit = off as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  graveyard constant regclass := queue_worker.queue_table(queue_worker.dead_letter_queue(queue));
  now constant timestamptz := clock_timestamp();
  hidden bigint;
  tried bigint;
  asked bigint;
begin
  if source is null then
    return;
  end if;
  estimated := '{}'; dead := 0;
  execute format($q$
    with soonest as materialized (select x.msg_id, x.enqueued_at, x.read_ct from %1$s x where x.vt > $1 order by x.vt limit $4),
    tried as materialized (select s.*, row_number() over () as place from soonest s where s.read_ct > 0),
    asked as (
      select o.outcome from tried t left join lateral (select x.outcome from queue_worker.outcomes x
        where x.queue = $3 and x.msg_id = t.msg_id and x.enqueued_at = t.enqueued_at and x.delivery = t.read_ct offset 0) o on true
      where (t.place - 1) %% (select greatest(1, (count(*) + 299) / 300) from tried) = 0)
    select (select count(*) from (select from %1$s m where m.vt <= $1 order by m.vt limit $2) r),
      (select extract(epoch from $1 - min(m.vt))::float8 from %1$s m where m.vt <= $1),
      case when $4 < $2 and (select count(*) from soonest) = $4
        then (select count(*) from (select from %1$s m where m.vt > $1 order by m.vt limit $2) h) else (select count(*) from soonest) end,
      (select count(*) from tried), count(*), count(*) filter (where a.outcome in ('snooze', 'release')),
      count(*) filter (where a.outcome = 'retry')
    from asked a
    $q$, source) into ready, oldest_ready_seconds, hidden, tried, asked, delayed, retrying using now, most, queue, most_soonest;
  if asked < tried then
    delayed := delayed * tried / asked;
    retrying := retrying * tried / asked;
    estimated := array['in_flight', 'retrying'];
  end if;
  in_flight := tried - delayed - retrying;
  delayed := delayed + hidden - tried;
  if hidden >= least(most, most_soonest) then
    estimated := array['delayed'] || estimated;
  end if;
  if hidden = most then
    hidden := greatest(most, queue_worker.estimated_rows(source, now));
    delayed := hidden - in_flight - retrying;
  end if;
  if ready = most then
    ready := greatest(most, queue_worker.estimated_rows(source, null) - hidden);
    estimated := array['ready'] || estimated;
  end if;
  if graveyard is not null then
    execute format('select count(*) from (select from %s limit $1) d', graveyard) into dead using most;
    if dead = most then
      dead := greatest(most, queue_worker.estimated_rows(graveyard, null));
      estimated := estimated || 'dead'::text;
    end if;
  end if;
  return next;
exception when undefined_table or syntax_error then
  return; -- it was dropped this moment: then its name is a mere number
end $$;
comment on function queue_worker.count_states(text, int, int) is
  'Messages of a queue by state: ready, in_flight, delayed (by producer, snooze or paced redrive), retrying (waits out its backoff), dead. '
  'Exact below `most` of a kind, in_flight and retrying below 300 and among most_soonest; those above are named in estimated. No row when there is no such queue.';

create or replace function queue_worker.count_states(queue text, most int)
returns table (ready bigint, in_flight bigint, delayed bigint, retrying bigint, dead bigint, oldest_ready_seconds float8, estimated text[])
language sql set search_path = '' as $$ select * from queue_worker.count_states(queue, most, most) $$;
comment on function queue_worker.count_states(text, int) is 'The same, looking among `most`.';

create or replace function queue_worker.overview_of(names jsonb, most int, most_soonest int) returns jsonb
language sql set search_path = '' as $$
  with asked as materialized (
    select n.queue from queue_worker.queue_names() n(queue)
    where case when jsonb_typeof(names) = 'array' then names ? n.queue else n.queue !~ '_dlq$' end),
  alive as (
    select a.queue, count(distinct (w.worker_id, w.instance)) as workers
    from queue_worker.workers w cross join lateral unnest(w.queues) a(queue)
    where not w.stopping and w.seen_at > clock_timestamp() - interval '90 seconds' group by a.queue),
  failed as ( -- the newest of all queues: what is older is no news
    select o.queue, max(o.recorded_at) as recorded_at
    from (select x.queue, x.error, x.recorded_at from queue_worker.outcomes x order by x.recorded_at desc limit most_soonest) o
    where o.error is not null group by o.queue)
  select coalesce(jsonb_agg(jsonb_build_object('queue', a.queue, 'ready', s.ready, 'in_flight', s.in_flight, 'delayed', s.delayed,
    'retrying', s.retrying, 'dead', s.dead, 'estimated', s.estimated, 'oldest_ready_seconds', s.oldest_ready_seconds,
    'paused', coalesce(q.paused, false), 'rate_limit', case when q.rate_limit is not null then queue_worker.rate_limit(a.queue) end,
    'breaker', case when q.breaker_until is not null then queue_worker.breaker(a.queue) end,
    'workers', coalesce(w.workers, 0), 'last_error', (select o.error from queue_worker.outcomes o where o.recorded_at = f.recorded_at
      and o.queue = f.queue and o.error is not null limit 1), 'last_error_at', f.recorded_at) order by a.queue), '[]')
  from asked a
  cross join lateral queue_worker.count_states(a.queue, most, most_soonest) s
  left join queue_worker.queues q on q.queue = a.queue
  left join alive w on w.queue = a.queue
  left join failed f on f.queue = a.queue
$$;
comment on function queue_worker.overview_of(jsonb, int, int) is
  'The named queues, or all but the dead-letter queues: [{queue, ready, in_flight, delayed, retrying, dead, estimated: [names], '
  'oldest_ready_seconds, paused, rate_limit, breaker, workers (that lived within 90 s), last_error, last_error_at}]. Estimates as in count_states; '
  'the last error is looked for among the newest most_soonest outcomes.';

create or replace function queue_worker.overview(names jsonb) returns jsonb
language sql set search_path = '' as $$ select queue_worker.overview_of(names, 10000, 10000) $$;
comment on function queue_worker.overview(jsonb) is 'overview_of with estimates from 10,000 on.';
