-- queue-worker, 13: what a dashboard lists beside queues: the past of a schedule, and the reports that were asked for.

create or replace function queue_worker.schedule_past(name text, max_ticks int) returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_build_object('now', queue_worker.clock(), 'name', s.name, 'cron', s.cron, 'timezone', s.timezone, 'queue', s.queue,
    'message', s.message, 'headers', s.headers, 'enabled', s.enabled, 'missed', s.missed, 'created_at', s.created_at,
    'next_run_at', case when s.enabled and isfinite(s.next_run_at) then s.next_run_at end, 'last_error', s.last_error,
    'ticks', (
      select coalesce(jsonb_agg(jsonb_build_object('run_at', t.run_at, 'sent_at', t.sent_at, 'queue', t.queue, 'msg_id', t.msg_id::text,
        'state', queue_worker.message_state(t.queue, t.msg_id, t.sent_at)) order by t.run_at desc), '[]')
      from (select x.* from queue_worker.ticks x where x.schedule = s.name order by x.run_at desc
        limit least(greatest(coalesce(max_ticks, 50), 1), 200)) t))
  from queue_worker.schedules s where s.name = schedule_past.name
$$;
comment on function queue_worker.schedule_past(text, int) is
  'A schedule with its last ticks (50, at most 200), the newest first, each with what became of its message; null: there is none of that name.';

-- public.reports may be somebody else's table: then there are no reports, and its columns are not looked at.
create or replace function queue_worker.recent_reports(before_at timestamptz, before_key text, max_rows int) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  found jsonb;
begin
  if not coalesce(queue_worker.is_own_table('reports'), false) then
    return '[]';
  end if;
  select coalesce(jsonb_agg(jsonb_build_object('origin_key', r.origin_key, 'report', r.report, 'title', r.title, 'format', r.format,
    'state', r.state, 'rows', r.rows, 'bytes', r.bytes, 'requested_at', r.requested_at, 'finished_at', r.finished_at)
    order by r.requested_at desc, r.origin_key desc), '[]') into found
  from (select x.* from public.reports x
    where before_at is null or (x.requested_at, x.origin_key) < (before_at, before_key)
    order by x.requested_at desc, x.origin_key desc limit least(greatest(coalesce(max_rows, 50), 1), 200)) r;
  return found;
end $$;
comment on function queue_worker.recent_reports(timestamptz, text, int) is
  'Reports that were asked for, the newest first, at most max_rows (50, at most 200) before one: [{origin_key, report, title, format, state, rows, '
  'bytes, requested_at, finished_at}].';

do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('schedule_past', $$queue_worker.schedule_past(request ->> 'name', (request ->> 'limit')::int)$$,
      'A schedule and its last ticks: {protocol, name, limit?}; null: there is none. See queue_worker.schedule_past.'),
    ('recent_reports', $$queue_worker.recent_reports((request #>> '{before,requested_at}')::timestamptz, request #>> '{before,origin_key}', (request ->> 'limit')::int)$$,
      'Reports, the newest first: {protocol, before?: {requested_at, origin_key}, limit?}. See queue_worker.recent_reports.')
  ) as e(name, expression, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, entry.expression, entry.purpose);
  end loop;
end $do$;
