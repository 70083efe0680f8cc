-- queue-worker, 3: what is known of a message besides pgmq's columns: its identity for effects and its deliveries.

create or replace function queue_worker.computed_origin_key(queue text, msg_id bigint, enqueued_at timestamptz)
returns text language sql immutable set search_path = '' as $$
  select left(encode(sha256(convert_to(
    queue || '/' || msg_id || '/' || (extract(epoch from enqueued_at) * 1000000)::bigint, 'UTF8')), 'hex'), 32)
$$;
comment on function queue_worker.computed_origin_key(text, bigint, timestamptz) is
  'A message''s identity for effects when no other was given: 32 hex digits, the same for every delivery.';

create or replace function queue_worker.origin_key(queue text, msg_id bigint, enqueued_at timestamptz)
returns text language sql stable set search_path = '' as $$
  select coalesce(
    (select o.origin_key from queue_worker.origins o
     where o.queue = $1 and o.msg_id = $2 and o.enqueued_at = $3),
    queue_worker.computed_origin_key($1, $2, $3))
$$;
comment on function queue_worker.origin_key(text, bigint, timestamptz) is
  'A message''s origin key: the one it was given (redrive, producer), else the computed one.';

create or replace function queue_worker.history(queue text, msg_id bigint, enqueued_at timestamptz, before int)
returns table (failures int, recorded int, died_alone int)
language sql stable set search_path = '' as $$
  select count(*) filter (where o.outcome = 'retry')::int, count(o.outcome)::int,
    count(*) filter (where i.delivery is not null and o.outcome is null)::int
  from (select x.delivery, x.outcome from queue_worker.outcomes x
        where x.queue = $1 and x.msg_id = $2 and x.enqueued_at = $3 and x.delivery < $4) o
  full join (select y.delivery from queue_worker.isolations y
        where y.queue = $1 and y.msg_id = $2 and y.enqueued_at = $3 and y.delivery < $4) i on i.delivery = o.delivery
$$;
comment on function queue_worker.history(text, bigint, timestamptz, int) is
  'What is recorded of the deliveries of a message before this one: failures, all outcomes, and runs alone that ended without an outcome.';
