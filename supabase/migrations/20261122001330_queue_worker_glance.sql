-- queue-worker, 13: all that the first page of a dashboard shows, in one answer, at a price that does not grow with the queues.

create or replace function queue_worker.minutes(queues text[], since timestamptz) returns jsonb
language sql set search_path = '' as $$
  select coalesce(jsonb_object_agg(m.queue, m.minutes), '{}') from (
    select coalesce(s.queue, a.queue) as queue, jsonb_agg(jsonb_build_object('minute', coalesce(s.minute, a.at), 'sent', a.sent,
      'succeeded', coalesce(s.succeeded, 0), 'failed', coalesce(s.failed, 0), 'dead', coalesce(s.dead, 0)) order by coalesce(s.minute, a.at)) as minutes
    from (
      select x.queue, x.minute, sum(x.archived + x.deleted) as succeeded, sum(x.retried) as failed, sum(x.dead) as dead
      from queue_worker.stats x where x.queue = any (queues) and x.minute >= since group by 1, 2) s
    full join queue_worker.sent_by_step(queues, since, date_trunc('minute', clock_timestamp()) + interval '1 minute', '1 minute') a
      on a.queue = s.queue and a.at = s.minute
    where s.succeeded + s.failed + s.dead > 0 or a.sent > 0 group by 1) m
$$;
comment on function queue_worker.minutes(text[], timestamptz) is
  'What became of the messages of queues minute by minute: {queue: [{minute, sent (null: not known), succeeded, failed (deliveries that are tried again), '
  'dead}]}; minutes in which nothing happened are left out.';

create or replace function queue_worker.seen_workers() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('worker_id', w.worker_id, 'instance', w.instance, 'version', w.version, 'host', w.host, 'pid', w.pid,
    'queues', w.queues, 'in_flight', w.in_flight, 'stopping', w.stopping, 'schedules', w.schedules, 'started_at', w.started_at, 'seen_at', w.seen_at,
    'alive', w.alive) order by w.alive desc, w.worker_id, w.started_at desc), '[]')
  from (
    select x.*, not x.stopping and x.seen_at > clock_timestamp() - interval '90 seconds' as alive from queue_worker.workers x
    where x.seen_at > clock_timestamp() - interval '1 day' order by alive desc, x.seen_at desc limit 500) w
$$;
comment on function queue_worker.seen_workers() is
  'Workers and schedulers that told of themselves within a day, those alive (within 90 s, and not stopping) first, at most 500.';

create or replace function queue_worker.schedule_lines() returns jsonb
language sql set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'cron', s.cron, 'timezone', s.timezone, 'queue', s.queue, 'enabled', s.enabled,
    'last_run_at', t.run_at, 'last_msg_id', t.msg_id::text, 'last_state', t.state,
    'next_run_at', case when s.enabled and isfinite(s.next_run_at) then s.next_run_at end, 'last_error', s.last_error) order by s.name), '[]')
  from (select x.* from queue_worker.schedules x order by x.name limit 500) s
  left join lateral (
    select x.run_at, x.msg_id, queue_worker.message_state(x.queue, x.msg_id, x.sent_at) as state
    from queue_worker.ticks x where x.schedule = s.name order by x.run_at desc limit 1) t on true
$$;
comment on function queue_worker.schedule_lines() is
  'Schedules by name with their last and next run and what became of the last message, at most 500; without what they send.';

create or replace function queue_worker.glance(names jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  queues constant jsonb := queue_worker.overview_of(names, 5000, 1000);
  minutes constant jsonb := queue_worker.minutes(array(select q.value ->> 'queue' from jsonb_array_elements(queues) q),
    date_trunc('minute', clock_timestamp()) - interval '59 minutes');
begin
  return jsonb_build_object('now', clock_timestamp(),
    'queues', (select coalesce(jsonb_agg(q.value || jsonb_build_object('minutes', coalesce(minutes -> (q.value ->> 'queue'), '[]')) order by q.ordinality), '[]')
      from jsonb_array_elements(queues) with ordinality q),
    'workers', queue_worker.seen_workers(), 'schedules', queue_worker.schedule_lines());
end $$;
comment on function queue_worker.glance(jsonb) is
  'The named queues, or all but the dead-letter queues, as overview has them, counts of 5,000 and more being estimates, and with the minutes of the last hour; '
  'workers; schedules: {now, queues, workers, schedules}.';
