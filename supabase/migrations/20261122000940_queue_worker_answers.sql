-- queue-worker, 9: answers to what is asked most, from the stats and outcomes; none of them reads an archive.

create or replace function queue_worker.states()
returns table (queue text, ready bigint, in_flight bigint, delayed bigint, retrying bigint, dead bigint, archived bigint, deleted bigint,
  oldest_ready_seconds float8, estimated text[])
language sql set search_path = '' as $$
  select n.queue, s.ready, s.in_flight, s.delayed, s.retrying, s.dead, coalesce(d.archived, 0), coalesce(d.deleted, 0), s.oldest_ready_seconds, s.estimated
  from (select q.queue from queue_worker.queue_names() q(queue) where q.queue !~ '_dlq$' offset 0) n
  cross join lateral queue_worker.count_states(n.queue, 10000) s
  left join (select x.queue, sum(x.archived)::bigint as archived, sum(x.deleted)::bigint as deleted from queue_worker.stats x group by 1) d on d.queue = n.queue
  order by 1
$$;
comment on function queue_worker.states() is 'What is behind the view messages_by_state.';

create or replace view queue_worker.messages_by_state with (security_invoker = true) as select * from queue_worker.states();
comment on view queue_worker.messages_by_state is
  'How many messages of each queue are in which state? archived and deleted: as far back as the stats go. estimated names the counts that are estimates.';

create or replace view queue_worker.by_day with (security_invoker = true) as
  select s.queue, date_trunc('day', s.minute) as day, sum(s.archived + s.deleted)::bigint as succeeded, sum(s.retried)::bigint as failures, sum(s.dead)::bigint as dead,
    round(100 * sum(s.archived + s.deleted) / nullif(sum(s.archived + s.deleted + s.dead), 0), 2) as success_percent,
    round((sum(s.ran_ms) / nullif(sum(s.archived + s.deleted + s.retried + s.dead), 0))::numeric, 1) as average_ran_ms, max(s.ran_ms_max) as longest_ran_ms,
    round((sum(s.waited_ms) / nullif(sum(s.archived + s.deleted + s.retried + s.dead), 0))::numeric, 1) as average_waited_ms
  from queue_worker.stats s group by 1, 2;
comment on view queue_worker.by_day is
  'How many messages succeed, how long do they run and wait, by queue and day? success_percent: of the messages that came to an end. Times are per delivery.';

create or replace view queue_worker.by_hour with (security_invoker = true) as
  select s.queue, date_trunc('hour', s.minute) as hour, sum(s.archived + s.deleted)::bigint as succeeded, sum(s.retried)::bigint as failures,
    sum(s.dead)::bigint as dead, round(sum(s.archived + s.deleted) / 3600.0, 3) as succeeded_per_second
  from queue_worker.stats s group by 1, 2;
comment on view queue_worker.by_hour is 'What is the throughput, by queue and hour?';

create or replace view queue_worker.last_errors with (security_invoker = true) as
  select o.recorded_at, o.queue, o.msg_id, o.delivery, o.outcome, o.error, o.worker_id
  from queue_worker.outcomes o where o.error is not null order by o.recorded_at desc;
comment on view queue_worker.last_errors is 'What went wrong last? Newest first: add a limit.';

create or replace function queue_worker.stuck_messages(in_flight_longer_than interval default '10 minutes', interruptions_at_least int default 2)
returns table (queue text, msg_id bigint, delivery int, in_flight_for interval, interruptions int, failures int, visible_at timestamptz, enqueued_at timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  name text;
  source regclass;
begin
  for name in select n from queue_worker.queue_names() n where n !~ '_dlq$' order by 1 loop
    source := queue_worker.queue_table(name);
    return query execute format($q$
      select $1, m.msg_id, m.read_ct, case when m.held then clock_timestamp() - m.read_at end, m.read_ct - m.held::int - m.recorded, m.failures, m.vt, m.enqueued_at
      from (
        select x.msg_id, x.read_ct, x.vt, x.enqueued_at, %s as read_at, h.recorded, h.failures, x.vt > clock_timestamp() and h.is_open as held
        from %s x cross join lateral (
          select count(*)::int as recorded, count(*) filter (where o.outcome = 'retry')::int as failures, coalesce(bool_and(o.delivery <> x.read_ct), true) as is_open
          from queue_worker.outcomes o where o.queue = $1 and o.msg_id = x.msg_id and o.enqueued_at = x.enqueued_at) h
        where x.read_ct > 0 and (x.vt > clock_timestamp() or x.read_ct >= $3)) m
      where m.held and m.read_at < clock_timestamp() - $2 or m.read_ct - m.held::int - m.recorded >= $3
      order by m.msg_id $q$,
      case when queue_worker.has_column(source, 'last_read_at') then 'x.last_read_at' else 'null::timestamptz' end, source)
    using name, in_flight_longer_than, interruptions_at_least;
  end loop;
end $$;
comment on function queue_worker.stuck_messages(interval, int) is
  'Which messages are stuck: in flight for longer than that, or interrupted that often (deliveries that ended without an outcome)? How long one is in '
  'flight is known with pgmq 1.10 and newer.';

create or replace function queue_worker.near_last_attempt(max_attempts int default 5)
returns table (queue text, msg_id bigint, failures bigint, last_error text, last_failed_at timestamptz, visible_at timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  name text;
begin
  for name in select n from queue_worker.queue_names() n where n !~ '_dlq$' order by 1 loop
    return query execute format($q$
      select $1, m.msg_id, f.failures, f.error, f.at, m.vt
      from (select o.msg_id, o.enqueued_at, count(*) as failures, max(o.recorded_at) as at, (array_agg(o.error order by o.delivery desc))[1] as error
        from queue_worker.outcomes o where o.queue = $1 and o.outcome = 'retry' group by 1, 2 having count(*) >= $2 - 1) f
      join %s m on m.msg_id = f.msg_id and m.enqueued_at = f.enqueued_at order by f.failures desc, m.msg_id
      $q$, queue_worker.queue_table(name)) using name, max_attempts;
  end loop;
end $$;
comment on function queue_worker.near_last_attempt(int) is
  'Which messages are near their last attempt: failures of at least max_attempts - 1 (give the queue''s own limit)?';
