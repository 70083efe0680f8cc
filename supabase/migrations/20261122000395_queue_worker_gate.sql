-- queue-worker, 3: the gate of a queue with a rate limit or a breaker: what a read may give, and what it is told when that is nothing.
-- Queues with neither never come here. The reader holds the lock on the queue's row.

create or replace function queue_worker.held_by_limit(
  queue text, source regclass, at timestamptz, out status text, out next_ms float8)
language plpgsql stable set search_path = '' as $$
declare
  is_due boolean;
begin
  execute format('select exists (select 1 from %s m where m.vt <= $1)', source) into is_due using at;
  status := case when is_due then 'limited' else 'ok' end;
  next_ms := case when is_due then queue_worker.limit_frees_in_ms(queue, at)
    else queue_worker.next_visible_in_ms(source, at, false) end;
end $$;
comment on function queue_worker.held_by_limit(text, regclass, timestamptz) is
  'What a read is told of a queue whose rate limit is used up: limited, and when it frees, if messages are due; else ok, and when one will be.';

create or replace function queue_worker.gate(queue text, source regclass, wanted int,
  out allowed int, out is_probe boolean, out status text, out next_ms float8, out failure text)
language plpgsql set search_path = '' as $$
declare
  known queue_worker.queues;
  at timestamptz;
  probe record;
begin
  allowed := wanted; is_probe := false;
  select * into known from queue_worker.queues q where q.queue = gate.queue;
  at := clock_timestamp();
  if known.breaker_until > at then
    allowed := 0; status := 'breaker_open'; next_ms := extract(epoch from known.breaker_until - at) * 1000;
    return;
  elsif known.breaker_until is not null then
    select * into probe from queue_worker.probe_state(
      queue, source, known.probe_msg_id, known.probe_enqueued_at, known.probe_delivery);
    if known.probe_msg_id is not null and probe.state = 'running' then
      allowed := 0; status := 'breaker_half_open'; next_ms := extract(epoch from probe.hidden_until - at) * 1000;
      return;
    elsif known.probe_msg_id is not null and probe.state = 'succeeded' then
      perform queue_worker.close_breaker(queue);
    else
      is_probe := true; allowed := least(wanted, 1);
    end if;
  end if;
  if wanted > 0 and queue_worker.limit_left(queue, at) < allowed then
    allowed := queue_worker.limit_left(queue, at);
    if allowed = 0 then
      select h.status, h.next_ms into status, next_ms from queue_worker.held_by_limit(queue, source, at) h;
      status := case when is_probe then 'breaker_half_open' else status end;
    end if;
  end if;
exception when others then
  allowed := 0; status := 'error'; failure := sqlerrm; next_ms := null;
end $$;
comment on function queue_worker.gate(text, regclass, int) is
  'How many messages a read may give, and whether the one it gives is a probe. With a status it may give none: breaker_open, breaker_half_open '
  '(the probe is running), limited, ok (the limit is used up, and nothing is due), error. Closes the breaker when the probe has succeeded.';

create or replace function queue_worker.gate_in_use(queue text, source regclass, out status text, out next_ms float8)
language plpgsql stable set search_path = '' as $$
declare
  known queue_worker.queues;
  at constant timestamptz := clock_timestamp();
begin
  select * into known from queue_worker.queues q where q.queue = gate_in_use.queue;
  status := 'ok'; next_ms := 0;
  if known.breaker_until > at then
    status := 'breaker_open'; next_ms := extract(epoch from known.breaker_until - at) * 1000;
  elsif known.breaker_until is not null then
    status := 'breaker_half_open';
  elsif queue_worker.limit_left(queue, at) = 0 then
    select h.status, h.next_ms into status, next_ms from queue_worker.held_by_limit(queue, source, at) h;
  end if;
end $$;
comment on function queue_worker.gate_in_use(text, regclass) is
  'What a read is told of a queue while somebody else is at its gate: nothing is given, and unless it is held anyway it is worth asking again at once.';

create or replace function queue_worker.passed(queue text, source regclass, given int, probe bigint, is_probe boolean,
  visibility_timeout interval, inout next_ms float8, out status text)
language plpgsql set search_path = '' as $$
declare
  at constant timestamptz := clock_timestamp();
  left_over constant int := queue_worker.limit_left(queue, at);
begin
  status := case when is_probe then 'breaker_half_open' else 'ok' end;
  if given > 0 and left_over is not null then
    perform queue_worker.charge_limit(queue, given, at);
  end if;
  if is_probe and given > 0 then
    execute format('update queue_worker.queues q set probe_msg_id = m.msg_id, probe_enqueued_at = m.enqueued_at, probe_delivery = m.read_ct
      from %s m where q.queue = $1 and m.msg_id = $2', source) using queue, probe;
    next_ms := extract(epoch from visibility_timeout) * 1000;
  elsif left_over = given and not is_probe then
    select h.status, h.next_ms into status, next_ms from queue_worker.held_by_limit(queue, source, at) h;
  end if;
end $$;
comment on function queue_worker.passed(text, regclass, int, bigint, boolean, interval, float8) is
  'Counts what a read gave against the rate limit, and notes the probe. Returns the status of the queue, and when the next read is worth while.';
