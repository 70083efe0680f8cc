-- queue-worker, 12: three reports about the queues themselves, also as examples of how to write one. Days are those of the time zone that
-- the report was asked for: it is the session's while a report runs.
-- What the project has by the same name stays; a schema it does not let us write to gets none.

do $do$
begin
  if coalesce(obj_description(to_regproc('reports.daily_volume')::oid, 'pg_proc') not like E'Daily volume\n%', to_regproc('reports.daily_volume') is not null) then
    return;
  end if;
create or replace function reports.daily_volume(since date default current_date - 29, until date default current_date, queue text default null)
returns table (day date, queue_name text, succeeded bigint, retried bigint, dead bigint, postponed bigint)
language sql stable set search_path = '' as $$
  select s.minute::date, s.queue, sum(s.archived + s.deleted)::bigint, sum(s.retried)::bigint, sum(s.dead)::bigint,
    sum(s.released + s.snoozed)::bigint
  from queue_worker.stats s
  where s.minute >= since and s.minute < until + 1 and (daily_volume.queue is null or s.queue = daily_volume.queue)
  group by 1, 2 order by 1, 2
$$;
comment on function reports.daily_volume(date, date, text) is $$Daily volume
Deliveries by day and queue, and how they ended.
chart: bar day succeeded retried dead$$;
exception when insufficient_privilege or invalid_function_definition or duplicate_function then
  raise warning 'queue-worker: the example report daily_volume cannot be made: %', sqlerrm;
end $do$;

do $do$
begin
  if coalesce(obj_description(to_regproc('reports.failures')::oid, 'pg_proc') not like E'Failures\n%', to_regproc('reports.failures') is not null) then
    return;
  end if;
create or replace function reports.failures(since date default current_date - 6, until date default current_date, queue text default null)
returns table (failed_at timestamptz, queue_name text, message bigint, delivery int, outcome text, error text, worker text)
language sql stable set search_path = '' as $$
  select date_trunc('second', o.recorded_at), o.queue, o.msg_id, o.delivery, case o.outcome when 'dead' then 'dead letter' else 'to be retried' end, o.error, o.worker_id
  from queue_worker.outcomes o
  where o.outcome in ('retry', 'dead') and o.recorded_at >= since and o.recorded_at < until + 1
    and (failures.queue is null or o.queue = failures.queue)
  order by o.recorded_at, o.queue, o.msg_id, o.delivery
$$;
comment on function reports.failures(date, date, text) is $$Failures
Deliveries that failed, each with its error.$$;
exception when insufficient_privilege or invalid_function_definition or duplicate_function then
  raise warning 'queue-worker: the example report failures cannot be made: %', sqlerrm;
end $do$;

do $do$
begin
  if coalesce(obj_description(to_regproc('reports.processing_times')::oid, 'pg_proc') not like E'Processing times\n%', to_regproc('reports.processing_times') is not null) then
    return;
  end if;
create or replace function reports.processing_times(since date default current_date - 29, until date default current_date, queue text default null)
returns table (day date, queue_name text, deliveries bigint, mean_ms numeric, longest_ms numeric, mean_wait_ms numeric, longest_wait_ms numeric)
language sql stable set search_path = '' as $$
  select t.day, t.queue, t.deliveries, round((t.ran_ms / nullif(t.deliveries, 0))::numeric, 1), round(t.ran_ms_max::numeric, 1),
    round((t.waited_ms / nullif(t.deliveries, 0))::numeric, 1), round(t.waited_ms_max::numeric, 1)
  from (
    select s.minute::date as day, s.queue, sum(s.archived + s.deleted + s.retried + s.dead + s.released + s.snoozed)::bigint as deliveries,
      sum(s.ran_ms) as ran_ms, max(s.ran_ms_max) as ran_ms_max, sum(s.waited_ms) as waited_ms, max(s.waited_ms_max) as waited_ms_max
    from queue_worker.stats s
    where s.minute >= since and s.minute < until + 1 and (processing_times.queue is null or s.queue = processing_times.queue)
    group by 1, 2) t
  order by 1, 2
$$;
comment on function reports.processing_times(date, date, text) is $$Processing times
How long deliveries ran and how long their messages had waited, in milliseconds, by day and queue.$$;
exception when insufficient_privilege or invalid_function_definition or duplicate_function then
  raise warning 'queue-worker: the example report processing_times cannot be made: %', sqlerrm;
end $do$;
