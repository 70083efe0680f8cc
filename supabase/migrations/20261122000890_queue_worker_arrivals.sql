-- queue-worker, 9: arrivals. pgmq keeps no record of what is sent; the ids that a queue has given out tell how much it was.

create or replace function queue_worker.newest_id(queue text) returns bigint
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  ids constant text := case when source is not null then pg_catalog.pg_get_serial_sequence(source::text, 'msg_id') end;
begin
  return case when ids is not null then coalesce(pg_catalog.pg_sequence_last_value(ids::regclass), 0) end;
exception when undefined_table or undefined_object or insufficient_privilege or internal_error then
  return null; -- dropped this moment, or somebody else's
end $$;
comment on function queue_worker.newest_id(text) is
  'The newest id that a queue has given out, those of transactions among them that did not commit; null when that is not known.';

-- In the order of the names: so two workers with the same queues cannot wait for each other in a circle.
create or replace function queue_worker.sample_arrivals(queues text[]) returns void
language sql set search_path = '' as $$
  insert into queue_worker.arrivals (queue, minute, last_id)
  select s.queue, s.minute, s.last_id from (
    select q.queue, m.minute, queue_worker.newest_id(q.queue) as last_id
    from unnest(queues) q(queue), date_trunc('minute', clock_timestamp()) m(minute)
    where not exists (select 1 from queue_worker.arrivals a where a.queue = q.queue and a.minute = m.minute)
    order by q.queue offset 0) s
  where s.last_id is not null
  on conflict do nothing
$$;
comment on function queue_worker.sample_arrivals(text[]) is
  'Notes the newest ids of these queues, of each once a minute.';

-- Between two samples messages are taken to have come evenly. The last sample is taken now.
create or replace function queue_worker.sent_by_step(queues text[], since timestamptz, until timestamptz, step interval)
returns table (queue text, at timestamptz, sent bigint)
language sql set search_path = '' as $$
  with latest as materialized (select q.queue, clock_timestamp() as at, queue_worker.newest_id(q.queue) as last_id from unnest(queues) q(queue)),
  known as materialized (
    select l.queue, b.at, least(b.at, l.at) as reached, case
        when p.last_id is null or coalesce(n.last_id, l.last_id) < p.last_id then null
        else p.last_id + (coalesce(n.last_id, l.last_id) - p.last_id) * coalesce(extract(epoch from least(b.at, l.at) - p.sampled_at)::float8
          / nullif(extract(epoch from coalesce(n.sampled_at, l.at) - p.sampled_at)::float8, 0), 0) end as arrived
    from latest l
    cross join generate_series(since, until, step) b(at)
    left join lateral (select a.last_id, a.sampled_at from queue_worker.arrivals a
      where a.queue = l.queue and a.minute <= b.at and a.sampled_at <= b.at order by a.minute desc limit 1) p on true
    left join lateral (select a.last_id, a.sampled_at from queue_worker.arrivals a
      where a.queue = l.queue and a.minute > b.at - interval '1 minute' and a.sampled_at > b.at order by a.minute limit 1) n on true)
  select k.queue, k.at, k.sent from (
    select x.queue, x.at, x.reached, round(lead(x.arrived) over (partition by x.queue order by x.at))::bigint - round(x.arrived)::bigint as sent from known x) k
  where k.reached = k.at and k.sent >= 0
$$;
comment on function queue_worker.sent_by_step(text[], timestamptz, timestamptz, interval) is
  'How many messages were sent to these queues in each step from one time to another, where that is known. A queue that was made anew is not known while that happened.';
