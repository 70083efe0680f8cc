-- queue-worker, 3: breakers: when what a queue depends on refuses everybody, the whole queue waits. closed: it is read. open: it is not,
-- until breaker_until. half_open: from then on one message at a time is given out, the probe, until one succeeds.

create or replace function queue_worker.breaker(queue text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('state', case when q.breaker_until > clock_timestamp() then 'open' else 'half_open' end,
    'reason', coalesce(q.breaker_reason, 'not told'), 'trips', q.breaker_trips, 'opened_at', q.breaker_opened_at, 'until', q.breaker_until)
  from queue_worker.queues q where q.queue = breaker.queue and q.breaker_until is not null
$$;
comment on function queue_worker.breaker(text) is
  'The breaker of a queue {state open|half_open, reason, trips, opened_at, until}; null when it is closed.';

create or replace function queue_worker.close_breaker(queue text) returns void
language sql set search_path = '' as $$
  update queue_worker.queues q set breaker_until = null, breaker_reason = null, breaker_trips = 0, breaker_opened_at = null,
    probe_msg_id = null, probe_enqueued_at = null, probe_delivery = null
  where q.queue = close_breaker.queue and q.breaker_until is not null
$$;
comment on function queue_worker.close_breaker(text) is 'Closes the breaker of a queue: it is read again.';

create or replace function queue_worker.breaker_wait(trips int) returns interval
language sql immutable set search_path = '' as $$ select make_interval(secs => least(300, 5 * 2 ^ (least(trips, 10) - 1))) $$;
comment on function queue_worker.breaker_wait(int) is
  'How long a breaker stays open that has tripped so often in a row: 5 s, doubling to 5 min.';

-- Many that run at once find out at the same time: that is one trip. Nothing shortens what was asked for before. What began before the
-- probe and ends after it reopens the breaker, but says nothing of whether it lasts.
create or replace function queue_worker.trip_breaker(
  queue text, msg_id bigint, enqueued_at timestamptz, delivery int, reason text, retry_after_ms float8) returns timestamptz
language plpgsql set search_path = '' as $$
declare
  at constant timestamptz := clock_timestamp();
  asked constant interval := make_interval(secs => least(86400, greatest(0, coalesce(retry_after_ms, 0) / 1000)));
  known queue_worker.queues;
begin
  insert into queue_worker.queues as q (queue) values (trip_breaker.queue) on conflict do nothing;
  select * into known from queue_worker.queues q where q.queue = trip_breaker.queue for update;
  if known.breaker_until > at then
    known.breaker_until := greatest(known.breaker_until, at + asked);
  else
    if known.breaker_until is null or coalesce((known.probe_msg_id, known.probe_enqueued_at, known.probe_delivery)
      = (trip_breaker.msg_id, trip_breaker.enqueued_at, trip_breaker.delivery), false)
    then
      known.breaker_trips := known.breaker_trips + 1;
    end if;
    known.breaker_until := at + greatest(queue_worker.breaker_wait(known.breaker_trips), asked) * (1 + random() / 5);
  end if;
  update queue_worker.queues q set breaker_until = known.breaker_until, breaker_trips = known.breaker_trips,
    breaker_reason = left(reason, 1000), breaker_opened_at = coalesce(q.breaker_opened_at, at)
  where q.queue = trip_breaker.queue;
  return known.breaker_until;
end $$;
comment on function queue_worker.trip_breaker(text, bigint, timestamptz, int, text, float8) is
  'Opens the breaker of a queue because of this delivery: for breaker_wait, or for as long as was asked (at most a day) if that is longer, '
  'and up to a fifth more. Open already, it stays so at least for as long as was asked. Returns until when.';

-- Whether it succeeded is read off what settle did, so nothing needs to be told and nothing can get lost in between.
create or replace function queue_worker.probe_state(
  queue text, source regclass, msg_id bigint, enqueued_at timestamptz, delivery int, out state text, out hidden_until timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  newest int;
begin
  execute format('select m.read_ct, m.vt from %s m where m.msg_id = $1 and m.enqueued_at = $2', source)
    into newest, hidden_until using msg_id, enqueued_at;
  state := case
    when exists (select 1 from queue_worker.outcomes o where o.queue = probe_state.queue and o.msg_id = probe_state.msg_id
      and o.enqueued_at = probe_state.enqueued_at and o.delivery = probe_state.delivery) then 'over'
    when newest is null then 'succeeded'
    when newest = delivery and hidden_until > clock_timestamp() then 'running'
    else 'over' end;
end $$;
comment on function queue_worker.probe_state(text, regclass, bigint, timestamptz, int) is
  'How a probe is doing: running (until then, if nobody extends it), succeeded (archived or deleted), over (anything else: its worker died, '
  'it was retried, it is a dead letter).';
