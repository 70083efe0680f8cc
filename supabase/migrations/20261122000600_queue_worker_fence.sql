-- queue-worker, 6: the fence: a settlement acts only while its delivery is the newest of its message and has no
-- outcome yet. Rows are locked first, in id order (no deadlocks with heartbeats), and outcomes are looked up in a
-- later statement, whose snapshot sees what a settle we waited for has committed.

-- One settlement or lease of a request, parsed once; idx is its place in the request.
do $$
begin
  create type queue_worker.item as (
    idx int, queue text, msg_id bigint, delivery int, enqueued_at timestamptz, vt_seconds float8, outcome text, delay_ms float8,
    error text, reason text, attempts int, sends jsonb, ran_ms float8, waited_ms float8, breaker jsonb);
exception when duplicate_object then null;
end $$;
do $$
begin
  if not queue_worker.has_column('queue_worker.item', 'breaker') then
    alter type queue_worker.item add attribute breaker jsonb;
  end if;
end $$;
comment on type queue_worker.item is 'A settlement or lease of a request; idx is its place there, from 1.';

create or replace function queue_worker.parse_items(list jsonb, to_settle boolean) returns queue_worker.item[]
language plpgsql immutable set search_path = '' as $$
declare
  items queue_worker.item[];
  wrong int;
begin
  if jsonb_typeof(list) is distinct from 'array' then
    raise exception 'queue-worker: settlements or leases must be an array' using errcode = 'QW002';
  end if;
  begin
    select array_agg((x.ordinality, x.queue, x.msg_id, x.delivery, x.enqueued_at, x.vt_seconds, x.outcome, x.delay_ms, x.error,
      x.reason, x.attempts, x.sends, x.ran_ms, x.waited_ms, x.breaker)::queue_worker.item order by x.queue, x.msg_id, x.ordinality)
    into items
    from rows from (jsonb_to_recordset(list) as (
      queue text, msg_id bigint, delivery int, enqueued_at timestamptz, vt_seconds float8, outcome text, delay_ms float8,
      error text, reason text, attempts int, sends jsonb, ran_ms float8, waited_ms float8, breaker jsonb)) with ordinality x;
  exception when data_exception or invalid_parameter_value then
    raise exception 'queue-worker: the request cannot be read: %', sqlerrm using errcode = 'QW002';
  end;
  select i.idx into wrong from unnest(items) i
  where i.msg_id is null or i.delivery is null or i.enqueued_at is null or coalesce(i.queue, '') !~ '^[a-z0-9_-]{1,43}$'
    -- NaN is greater than infinity, and least() would make ten years of it
    or (not to_settle and not coalesce(i.vt_seconds > 0 and i.vt_seconds < 'infinity', false))
    or (to_settle and coalesce(i.outcome, '') not in ('archive', 'delete', 'retry', 'snooze', 'release', 'dead'))
    or (i.breaker is not null and (i.outcome <> 'snooze' or not coalesce(jsonb_typeof(i.breaker -> 'reason') = 'string', false)
      or coalesce(jsonb_typeof(i.breaker -> 'retry_after_ms'), 'null') not in ('null', 'number')))
  order by i.idx limit 1;
  if found then
    raise exception 'queue-worker: item % of the request is no settlement or lease', wrong using errcode = 'QW002',
      hint = 'It needs queue, msg_id, delivery, enqueued_at and a known outcome, or as a lease vt_seconds > 0. breaker goes with snooze and has a reason.';
  end if;
  return coalesce(items, '{}');
end $$;
comment on function queue_worker.parse_items(jsonb, boolean) is
  'The settlements or leases of a request, sorted by queue and id. Raises QW002 before anything is done.';

create or replace function queue_worker.lock_deliveries(queue text, items queue_worker.item[]) returns queue_worker.item[]
language plpgsql set search_path = '' as $$
declare
  locked queue_worker.item[];
begin
  if queue_worker.queue_table(queue) is null then
    return '{}';
  end if;
  execute format($q$
    select array_agg(i)
    from (select m.msg_id, m.read_ct, m.enqueued_at from %s m
          where m.msg_id = any ($2) order by m.msg_id for update) l
    join (select distinct on (y.msg_id, y.delivery, y.enqueued_at) y.* from unnest($1) y
          order by y.msg_id, y.delivery, y.enqueued_at, y.idx) i
      on i.msg_id = l.msg_id and i.delivery = l.read_ct and i.enqueued_at = l.enqueued_at
    $q$, queue_worker.queue_table(queue)) into locked using items, array(select x.msg_id from unnest(items) x);
  return array(
    select i from unnest(locked) i where not exists (
      select 1 from queue_worker.outcomes o
      where o.queue = lock_deliveries.queue and o.msg_id = i.msg_id and o.enqueued_at = i.enqueued_at
        and o.delivery = i.delivery));
end $$;
comment on function queue_worker.lock_deliveries(text, queue_worker.item[]) is
  'Locks messages in id order and returns those items that pass the fence; none when the queue does not exist.';

create or replace function queue_worker.record_outcomes(queue text, items queue_worker.item[], worker text)
returns void language sql set search_path = '' as $$
  insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, error, worker_id)
  select $1, x.msg_id, x.enqueued_at, x.delivery, x.outcome, coalesce(x.error, x.breaker ->> 'reason'), worker from unnest(items) x
$$;
comment on function queue_worker.record_outcomes(text, queue_worker.item[], text) is
  'Writes the outcomes of locked deliveries; from then on they are fenced off.';

-- What a settlement that did not pass the fence is told: done before by this very settlement, or lost.
create or replace function queue_worker.late_status(
  queue text, msg_id bigint, enqueued_at timestamptz, delivery int, outcome text)
returns text language plpgsql set search_path = '' as $$
declare
  recorded constant text := (
    select o.outcome from queue_worker.outcomes o where o.queue = late_status.queue and o.msg_id = late_status.msg_id
      and o.enqueued_at = late_status.enqueued_at and o.delivery = late_status.delivery);
  is_so boolean;
begin
  if recorded is not null then
    return case when recorded = outcome then 'already' else 'lost' end;
  elsif outcome = 'archive' and queue_worker.archive_table(queue) is not null then
    execute format('select exists (select 1 from %s a where a.msg_id = $1 and a.enqueued_at = $2 and a.read_ct = $3)',
      queue_worker.archive_table(queue)) into is_so using msg_id, enqueued_at, delivery;
    return case when is_so then 'already' else 'lost' end;
  elsif outcome = 'delete' and queue_worker.queue_table(queue) is not null then
    execute format('select not exists (select 1 from %s m where m.msg_id = $1 and m.enqueued_at = $2)',
      queue_worker.queue_table(queue)) into is_so using msg_id, enqueued_at;
    return case when is_so then 'gone' else 'lost' end;
  end if;
  return 'lost';
end $$;
comment on function queue_worker.late_status(text, bigint, timestamptz, int, text) is
  'already: this outcome of this delivery stands. gone: a delete found no message. lost: something else came first.';
