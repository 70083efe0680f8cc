-- queue-worker, 13: what was: the past of a queue in steps, its errors by kind, and what a message led to.

create or replace function queue_worker.past(queue text, since timestamptz, until timestamptz, step_seconds int)
returns jsonb language plpgsql set search_path = '' as $$
declare
  step constant interval := make_interval(secs => ceil(coalesce(step_seconds, 60) / 60.0) * 60);
  starts constant timestamptz := date_trunc('minute', since);
  points jsonb;
begin
  if coalesce(step_seconds, 60) < 1 or not coalesce(isfinite(since) and isfinite(until) and since < until, false) then
    raise exception 'queue-worker: this is no span of time' using errcode = 'QW002',
      hint = 'Give "since", "until" later than that, and "step_seconds", 60 or more.';
  elsif extract(epoch from until - starts) / extract(epoch from step) > 1000 then
    raise exception 'queue-worker: these are more than 1000 steps' using errcode = 'QW002', hint = 'Give "step_seconds" a larger number, or a shorter span.';
  end if;
  select jsonb_agg(jsonb_build_object('at', coalesce(s.at, a.at), 'sent', a.sent, 'archived', coalesce(s.archived, 0),
      'deleted', coalesce(s.deleted, 0), 'retried', coalesce(s.retried, 0), 'dead', coalesce(s.dead, 0), 'released', coalesce(s.released, 0),
      'snoozed', coalesce(s.snoozed, 0), 'ran_ms', s.ran_ms / nullif(s.ran, 0), 'ran_ms_max', case when s.ran > 0 then s.ran_ms_max end,
      'waited_ms', s.waited_ms / nullif(s.ran, 0), 'waited_ms_max', case when s.ran > 0 then s.waited_ms_max end) order by coalesce(s.at, a.at))
  into points
  from (
    select date_bin(step, x.minute, starts) as at, sum(x.archived) as archived, sum(x.deleted) as deleted, sum(x.retried) as retried, sum(x.dead) as dead,
      sum(x.released) as released, sum(x.snoozed) as snoozed, sum(x.archived + x.deleted + x.retried + x.dead) as ran,
      sum(x.ran_ms) as ran_ms, max(x.ran_ms_max) as ran_ms_max, sum(x.waited_ms) as waited_ms, max(x.waited_ms_max) as waited_ms_max
    from queue_worker.stats x where x.queue = past.queue and x.minute >= starts and x.minute < past.until group by 1) s
  full join queue_worker.sent_by_step(array[queue], starts, until + step, step) a on a.at = s.at
  where coalesce(s.at, a.at) < past.until and (s.at is not null or a.sent > 0);
  return coalesce(points, '[]');
end $$;
comment on function queue_worker.past(text, timestamptz, timestamptz, int) is
  'A queue''s past in steps of whole minutes, at most 1000: [{at, sent, archived, deleted, retried, dead, released, snoozed, ran_ms, ran_ms_max, '
  'waited_ms, waited_ms_max}], times being means and maxima per delivery in milliseconds. Steps in which nothing happened are left out. Raises QW002.';

create or replace function queue_worker.error_class(error text) returns text
language sql immutable set search_path = '' as $$
  select regexp_replace(left(coalesce(nullif(split_part(split_part(ltrim(error), E'\n', 1), ':', 1), ''), ltrim(error)), 80), '[0-9]+', 'n', 'g')
$$;
comment on function queue_worker.error_class(text) is 'What an error begins with, up to its first colon and 80 characters, with n for numbers.';

create or replace function queue_worker.error_groups(queue text, since timestamptz, until timestamptz) returns jsonb
language sql stable set search_path = '' set jit = off as $$
  with newest as materialized (
    select x.*, row_number() over () as place from (
      select o.queue, o.recorded_at, o.error, o.msg_id, o.outcome from queue_worker.outcomes o
      where o.recorded_at >= since and o.recorded_at < until order by o.recorded_at desc limit 50000) x
    where x.queue = error_groups.queue and x.error is not null limit 10000),
  grouped as (
    select c.class, sum(c.count)::bigint as count, min(c.place) as place from (
      select queue_worker.error_class(e.error) as class, e.count, e.place
      from (select n.error, count(*) as count, min(n.place) as place from newest n group by 1) e offset 0) c
    group by 1 order by 2 desc, 1 limit 50)
  select coalesce(jsonb_agg(jsonb_build_object('error', g.class, 'count', g.count, 'last_at', n.recorded_at, 'last_error', n.error,
    'last_msg_id', n.msg_id::text, 'outcome', n.outcome) order by g.count desc, g.class), '[]')
  from grouped g join newest n on n.place = g.place
$$;
comment on function queue_worker.error_groups(text, timestamptz, timestamptz) is
  'The errors of a queue by class (see error_class), most frequent first, at most 50: [{error, count, last_at, last_error, last_msg_id, outcome}]. Looks at '
  'the queue''s newest 10,000 outcomes with an error, among the newest 50,000 of all queues.';

-- Each only where its table is ours: many databases have tables of these names.
create or replace function queue_worker.related(origin_key text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  report jsonb;
  payments jsonb;
begin
  if queue_worker.is_own_table('reports') then
    select jsonb_build_object('report', r.report, 'state', r.state, 'format', r.format, 'title', r.title, 'location', r.location,
      'bytes', r.bytes, 'rows', r.rows, 'finished_at', r.finished_at, 'error', r.error)
    into report from public.reports r where r.origin_key = related.origin_key;
  end if;
  if queue_worker.has_own_payments() then
    select jsonb_agg(jsonb_build_object('id', p.id, 'reference', p.reference, 'status', p.status,
      'amount', round(p.amount / 10::numeric ^ p.exponent, p.exponent)::text, 'currency', p.currency, 'updated_at', p.updated_at) order by p.created_at)
    into payments from public.payments p
    where p.id in (select e.payment_id from public.payment_events e where e.origin_key = related.origin_key
      union select c.payment_id from queue_worker.payment_calls c where c.origin_key = related.origin_key
      union select queue_worker.payment_made_by(related.origin_key));
  end if;
  return jsonb_build_object('report', report, 'payments', coalesce(payments, '[]'));
end $$;
comment on function queue_worker.related(text) is
  'What the message of an origin key led to: {report: {report, state, format, title, location, bytes, rows, finished_at, error} or null, payments: [{id, '
  'reference, status, amount, currency, updated_at}]}.';
