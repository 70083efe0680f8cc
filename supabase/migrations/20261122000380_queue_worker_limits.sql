-- queue-worker, 3: rate limits: at most so many deliveries of a queue within any period, whoever reads.
-- Whatever decides about reading a limited queue, or one whose breaker is not closed, holds the lock on its row in queue_worker.queues.

-- Settles that trip breakers wait for them, all of a transaction in one order and before any of their messages.
create or replace function queue_worker.lock_queues(names text[]) returns void
language sql set search_path = '' as $$
  select from queue_worker.queues q where q.queue = any (names) order by q.queue for update
$$;
comment on function queue_worker.lock_queues(text[]) is 'Locks the rows of these queues in the order of their names.';

-- Reads hardly wait, as they hold messages: so nobody waits for them in a circle, and one queue does not hold up the others of a worker.
create or replace function queue_worker.lock_queue(name text, patient boolean) returns boolean
language plpgsql set search_path = '' set lock_timeout = '100ms' as $$
begin
  if patient then
    perform from queue_worker.queues q where q.queue = name for update;
    return true;
  end if;
  perform from queue_worker.queues q where q.queue = name for update skip locked;
  return found;
exception when lock_not_available then
  return false;
end $$;
comment on function queue_worker.lock_queue(text, boolean) is
  'Locks the row of a queue, waiting for at most 100 ms, or not at all; false when somebody else holds it.';

create or replace function queue_worker.set_rate_limit(queue text, messages float8, period_seconds float8) returns void
language plpgsql set search_path = '' as $$
begin
  if queue_worker.queue_table(queue_worker.check_queue_name(queue)) is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003',
      hint = 'Create it: select pgmq.create(''' || queue || ''');';
  elsif messages is not null and not coalesce(
    messages = trunc(messages) and messages between 1 and 1000000 and period_seconds between 0.1 and 2678400, false)
  then
    raise exception 'queue-worker: this is no rate limit' using errcode = 'QW002',
      hint = 'Give max_messages, a whole number from 1 to 1000000, and period_seconds, from 0.1 to 2678400; or null for max_messages, to lift the limit.';
  end if;
  insert into queue_worker.queues as q (queue, rate_limit, rate_period)
  values (set_rate_limit.queue, messages::int, case when messages is not null then make_interval(secs => period_seconds) end)
  on conflict on constraint queues_pkey do update
    set rate_limit = excluded.rate_limit, rate_period = excluded.rate_period, changed_at = clock_timestamp()
    where (q.rate_limit, q.rate_period) is distinct from (excluded.rate_limit, excluded.rate_period);
end $$;
comment on function queue_worker.set_rate_limit(text, float8, float8) is
  'At most so many deliveries of a queue within any period, over all workers; null: no limit. What was delivered before counts, as far '
  'as it is known. Raises QW002, and QW003 when the queue is missing.';

create or replace function queue_worker.limit_left(queue text, at timestamptz) returns int
language sql stable set search_path = '' as $$
  select greatest(0, q.rate_limit - coalesce((
    select sum(g.messages) from queue_worker.grants g where g.queue = q.queue and g.granted_at > at - q.rate_period), 0))::int
  from queue_worker.queues q where q.queue = limit_left.queue and q.rate_limit is not null
$$;
comment on function queue_worker.limit_left(text, timestamptz) is
  'How many deliveries the rate limit of a queue allows at this moment; null when it has none.';

create or replace function queue_worker.rate_limit(queue text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('max_messages', q.rate_limit, 'period_seconds', extract(epoch from q.rate_period),
    'left', queue_worker.limit_left(q.queue, clock_timestamp()))
  from queue_worker.queues q where q.queue = rate_limit.queue and q.rate_limit is not null
$$;
comment on function queue_worker.rate_limit(text) is
  'The rate limit of a queue {max_messages, period_seconds, left: how many it allows at this moment}; null when it has none.';

create or replace function queue_worker.limit_frees_in_ms(queue text, at timestamptz) returns float8
language sql stable set search_path = '' as $$
  select greatest(0, extract(epoch from max(s.granted_at) + min(q.rate_period) - at)::float8 * 1000)
  from queue_worker.queues q
  cross join lateral (select g.granted_at, sum(g.messages) over (order by g.granted_at desc) as since
    from queue_worker.grants g where g.queue = q.queue) s
  where q.queue = limit_frees_in_ms.queue and s.since >= q.rate_limit
$$;
comment on function queue_worker.limit_frees_in_ms(text, timestamptz) is
  'Milliseconds until a rate limit that is used up allows the next delivery.';

create or replace function queue_worker.charge_limit(queue text, messages int, at timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  period constant interval := (select q.rate_period from queue_worker.queues q where q.queue = charge_limit.queue);
  part constant float8 := extract(epoch from period) / 1000;
begin
  delete from queue_worker.grants g where g.queue = charge_limit.queue and g.granted_at <= at - period;
  insert into queue_worker.grants as g (queue, granted_at, messages)
  values (charge_limit.queue, greatest(at, to_timestamp(ceil(extract(epoch from at)::float8 / part) * part)), charge_limit.messages)
  on conflict on constraint grants_pkey do update set messages = g.messages + excluded.messages;
end $$;
comment on function queue_worker.charge_limit(text, int, timestamptz) is
  'Counts deliveries of a queue against its rate limit. Rounded up, so that never more are allowed, for at most a thousandth of the period.';
