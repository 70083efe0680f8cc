-- queue-worker, 6: settling: recording how deliveries ended.
-- The fence: a settlement acts only while its delivery is the newest of its message and has no outcome yet.
-- Rows are locked first, in id order (no deadlocks with heartbeats), and outcomes are looked up in a later
-- statement, whose snapshot sees what a settle we waited for has committed.

create or replace function queue_worker.lock_deliveries(queue text, items jsonb) returns int[]
language plpgsql set search_path = '' as $$
declare
  held int[];
begin
  execute format($q$
    select array_agg(i.idx)
    from (select m.msg_id, m.read_ct, m.enqueued_at from %s m
          where m.msg_id = any (select (x ->> 'msg_id')::bigint from jsonb_array_elements($1) x)
          order by m.msg_id for update) l
    join (select distinct on (y.msg_id, y.delivery, y.enqueued_at) y.*
          from jsonb_to_recordset($1) as y(idx int, msg_id bigint, delivery int, enqueued_at timestamptz)
          order by y.msg_id, y.delivery, y.enqueued_at, y.idx) i
      on i.msg_id = l.msg_id and i.delivery = l.read_ct and i.enqueued_at = l.enqueued_at
    $q$, queue_worker.queue_table(queue)) into held using items;
  return (
    select array_agg(i.idx)
    from jsonb_to_recordset(items) as i(idx int, msg_id bigint, delivery int, enqueued_at timestamptz)
    where i.idx = any (held) and not exists (
      select 1 from queue_worker.outcomes o
      where o.queue = lock_deliveries.queue and o.msg_id = i.msg_id and o.enqueued_at = i.enqueued_at
        and o.delivery = i.delivery));
end $$;
comment on function queue_worker.lock_deliveries(text, jsonb) is
  'Locks messages in id order and returns idx of those items [{idx, msg_id, delivery, enqueued_at}] that pass the fence. '
  'The queue must exist.';

create or replace function queue_worker.remove_messages(queue text, items jsonb, chosen int[], keep boolean)
returns void language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  columns text;
  picked constant text := format(
    'delete from %s m where m.msg_id = any (
       select x.msg_id from jsonb_to_recordset($1) as x(idx int, msg_id bigint) where x.idx = any ($2))', source);
begin
  if not keep then
    execute picked using items, chosen;
    return;
  end if;
  -- Whatever columns this pgmq version has in both tables.
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into columns
  from pg_catalog.pg_attribute a
  where a.attrelid = source and a.attnum > 0 and not a.attisdropped
    and queue_worker.has_column(queue_worker.archive_table(queue), a.attname);
  execute format('with gone as (%s returning m.*) insert into %s (%s) select %s from gone',
    picked, queue_worker.archive_table(queue), columns, columns) using items, chosen;
end $$;
comment on function queue_worker.remove_messages(text, jsonb, int[], boolean) is
  'Takes locked messages out of their queue: into its archive if keep, else for good.';

create or replace function queue_worker.bury_messages(queue text, items jsonb, chosen int[], worker text)
returns void language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  graveyard constant text := queue_worker.dead_letter_queue(queue);
begin
  if queue_worker.queue_table(graveyard) is null then
    perform queue_worker.ensure_queue(queue, false);
  end if;
  execute format($q$
    insert into %1$s (vt, message)
    select clock_timestamp(), jsonb_build_object('message', m.message, 'headers', %2$s, 'dead_letter', jsonb_build_object(
      'queue', $3, 'msg_id', m.msg_id, 'origin_key', queue_worker.origin_key($3, m.msg_id, m.enqueued_at),
      'reason', x.reason, 'error', x.error, 'attempts', coalesce(x.attempts, 0), 'deliveries', m.read_ct,
      'enqueued_at', m.enqueued_at, 'dead_at', clock_timestamp(), 'worker_id', $4))
    from jsonb_to_recordset($1) as x(idx int, msg_id bigint, reason text, error text, attempts int)
    join %3$s m on m.msg_id = x.msg_id
    where x.idx = any ($2) order by m.msg_id
    $q$, queue_worker.queue_table(graveyard),
    case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end, source)
    using items, chosen, queue, worker;
  perform queue_worker.record_outcomes(queue, items, chosen, worker);
  perform queue_worker.remove_messages(queue, items, chosen, false);
end $$;
comment on function queue_worker.bury_messages(text, jsonb, int[], text) is
  'Moves locked messages to the dead-letter queue, which it creates if it is missing, with reason, error and history.';

create or replace function queue_worker.record_outcomes(queue text, items jsonb, chosen int[], worker text)
returns void language sql set search_path = '' as $$
  insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, error, worker_id)
  select $1, x.msg_id, x.enqueued_at, x.delivery, x.outcome, x.error, worker
  from jsonb_to_recordset(items) as x(idx int, msg_id bigint, enqueued_at timestamptz, delivery int, outcome text, error text)
  where x.idx = any (chosen)
$$;
comment on function queue_worker.record_outcomes(text, jsonb, int[], text) is
  'Writes the outcomes of locked deliveries; from then on they are fenced off.';

create or replace function queue_worker.hide_messages(queue text, items jsonb, chosen int[], worker text)
returns void language plpgsql set search_path = '' as $$
begin
  perform queue_worker.record_outcomes(queue, items, chosen, worker);
  execute format($q$
    update %s m set vt = clock_timestamp() + make_interval(secs => greatest(coalesce(x.delay_ms, 0), 0) / 1000)
    from jsonb_to_recordset($1) as x(idx int, msg_id bigint, delay_ms float8)
    where m.msg_id = x.msg_id and x.idx = any ($2)
    $q$, queue_worker.queue_table(queue)) using items, chosen;
end $$;
comment on function queue_worker.hide_messages(text, jsonb, int[], text) is
  'Retry, snooze and release: records the outcome and makes the message visible again after delay_ms (0: now).';

-- What a settlement that did not pass the fence is told: done before by this very settlement, or lost.
create or replace function queue_worker.late_status(
  queue text, msg_id bigint, enqueued_at timestamptz, delivery int, outcome text)
returns text language plpgsql set search_path = '' as $$
declare
  recorded constant text := (
    select o.outcome from queue_worker.outcomes o where o.queue = late_status.queue and o.msg_id = late_status.msg_id
      and o.enqueued_at = late_status.enqueued_at and o.delivery = late_status.delivery);
  is_so boolean;
begin
  if recorded is not null then
    return case when recorded = outcome then 'already' else 'lost' end;
  elsif outcome = 'archive' and queue_worker.archive_table(queue) is not null then
    execute format('select exists (select 1 from %s a where a.msg_id = $1 and a.enqueued_at = $2 and a.read_ct = $3)',
      queue_worker.archive_table(queue)) into is_so using msg_id, enqueued_at, delivery;
    return case when is_so then 'already' else 'lost' end;
  elsif outcome = 'delete' and queue_worker.queue_table(queue) is not null then
    execute format('select not exists (select 1 from %s m where m.msg_id = $1 and m.enqueued_at = $2)',
      queue_worker.queue_table(queue)) into is_so using msg_id, enqueued_at;
    return case when is_so then 'gone' else 'lost' end;
  end if;
  return 'lost';
end $$;
comment on function queue_worker.late_status(text, bigint, timestamptz, int, text) is
  'already: this outcome of this delivery stands. gone: a delete found no message. lost: something else came first.';

create or replace function queue_worker.settle_queue(queue text, items jsonb, worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  held int[] := '{}';
  rejected jsonb := '[]';
  carrier record;
  grouped record;
begin
  if queue_worker.queue_table(queue) is not null then
    held := coalesce(queue_worker.lock_deliveries(queue, items), '{}');
  end if;
  -- Sends commit with their settlement; one that cannot be sent rejects its settlement and no other.
  for carrier in
    select x.idx, x.sends from jsonb_to_recordset(items) as x(idx int, sends jsonb)
    where x.idx = any (held) and jsonb_array_length(nullif(x.sends, 'null')) > 0
  loop
    begin
      perform queue_worker.send(carrier.sends);
    exception when others then
      held := array_remove(held, carrier.idx);
      rejected := rejected || jsonb_build_object('idx', carrier.idx, 'status', 'rejected', 'error', sqlerrm);
    end;
  end loop;
  for grouped in
    select x.outcome, array_agg(x.idx) as chosen from jsonb_to_recordset(items) as x(idx int, outcome text)
    where x.idx = any (held) group by x.outcome
  loop
    case grouped.outcome
      when 'archive' then perform queue_worker.remove_messages(queue, items, grouped.chosen, true);
      when 'delete' then perform queue_worker.remove_messages(queue, items, grouped.chosen, false);
      when 'dead' then perform queue_worker.bury_messages(queue, items, grouped.chosen, worker);
      when 'retry', 'snooze', 'release' then perform queue_worker.hide_messages(queue, items, grouped.chosen, worker);
      else raise exception 'queue-worker: "%" is no outcome', grouped.outcome using errcode = 'QW002';
    end case;
  end loop;
  perform queue_worker.add_stats(queue, items, held);
  return rejected || coalesce((
    select jsonb_agg(jsonb_build_object('idx', x.idx, 'status', case when x.idx = any (held) then 'ok'
      else queue_worker.late_status(queue, x.msg_id, x.enqueued_at, x.delivery, x.outcome) end))
    from jsonb_to_recordset(items) as x(idx int, msg_id bigint, enqueued_at timestamptz, delivery int, outcome text)
    where not exists (select 1 from jsonb_array_elements(rejected) r where (r ->> 'idx')::int = x.idx)), '[]');
end $$;
comment on function queue_worker.settle_queue(text, jsonb, text) is
  'Settles deliveries of one queue; returns [{idx, status ok|already|gone|lost|rejected, error?}].';

create or replace function queue_worker.settle(settlements jsonb, worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  batch record;
  results jsonb := '[]';
begin
  for batch in -- queues in name order: two settles that share queues cannot wait for each other in a circle
    select s.value ->> 'queue' as queue, jsonb_agg(s.value || jsonb_build_object('idx', s.ordinality)) as items
    from jsonb_array_elements(settlements) with ordinality s group by 1 order by 1
  loop
    results := results || queue_worker.settle_queue(batch.queue, batch.items, worker);
  end loop;
  return coalesce((
    select jsonb_agg(r.value - 'idx' order by (r.value ->> 'idx')::int) from jsonb_array_elements(results) r), '[]');
end $$;
comment on function queue_worker.settle(jsonb, text) is
  'Settles deliveries [{queue, msg_id, delivery, enqueued_at, outcome archive|delete|retry|snooze|release|dead, delay_ms?, '
  'error?, reason?, attempts?, sends?, ran_ms?, waited_ms?}]; returns their statuses in the same order.';
