-- queue-worker, 6: settling: recording how deliveries ended, behind the fence of the file before.

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

create or replace function queue_worker.hide_messages(queue text, items jsonb, chosen int[], worker text)
returns void language plpgsql set search_path = '' as $$
begin
  perform queue_worker.record_outcomes(queue, items, chosen, worker);
  execute format($q$
    update %s m set vt = clock_timestamp() + make_interval(secs => least(greatest(coalesce(x.delay_ms, 0), 0) / 1000, 315360000))
    from jsonb_to_recordset($1) as x(idx int, msg_id bigint, delay_ms float8)
    where m.msg_id = x.msg_id and x.idx = any ($2)
    $q$, queue_worker.queue_table(queue)) using items, chosen;
end $$;
comment on function queue_worker.hide_messages(text, jsonb, int[], text) is
  'Retry, snooze and release: records the outcome and makes the message visible again after delay_ms (0: now; at most ten years).';

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
      if queue_worker.is_transient(sqlstate) then
        raise;
      end if;
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

create or replace function queue_worker.check_settlements(settlements jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
  wrong text;
begin
  select left(to_jsonb(x)::text, 300) into wrong
  from jsonb_to_recordset(settlements) as x(queue text, msg_id text, delivery text, enqueued_at text, outcome text)
  where not coalesce(x.outcome in ('archive', 'delete', 'retry', 'snooze', 'release', 'dead')
    and x.msg_id ~ '^[0-9]{1,18}$' and x.delivery ~ '^[0-9]{1,9}$' and x.queue ~ '^[a-z0-9_-]{1,43}$'
    and x.enqueued_at is not null, false)
  limit 1;
  if wrong is not null then
    raise exception 'queue-worker: this is no settlement: %', wrong
      using errcode = 'QW002', hint = 'It needs queue, msg_id, delivery, enqueued_at and a known outcome.';
  end if;
exception
  when invalid_parameter_value then
    raise exception 'queue-worker: settlements must be an array of objects' using errcode = 'QW002';
end $$;
comment on function queue_worker.check_settlements(jsonb) is
  'Raises QW002 unless all are settlements, before anything is done.';

-- When something refuses what is asked (an id that the archive has already, say), only what is refused is rejected.
create or replace function queue_worker.settle_each(queue text, items jsonb, worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  item jsonb;
  results jsonb := '[]';
begin
  for item in select i.value from jsonb_array_elements(items) i order by (i.value ->> 'msg_id')::bigint loop
    begin
      results := results || queue_worker.settle_queue(queue, jsonb_build_array(item), worker);
    exception when others then
      if queue_worker.is_transient(sqlstate) then
        raise;
      end if;
      results := results || jsonb_build_object('idx', item -> 'idx', 'status', 'rejected', 'error', sqlerrm);
    end;
  end loop;
  return results;
end $$;
comment on function queue_worker.settle_each(text, jsonb, text) is
  'settle_queue one by one, after it failed for all together: finds and rejects those that cannot be done.';

create or replace function queue_worker.settle(settlements jsonb, worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  batch record;
  results jsonb := '[]';
begin
  perform queue_worker.check_settlements(settlements);
  for batch in -- queues in name order: two settles that share queues cannot wait for each other in a circle
    select s.value ->> 'queue' as queue, jsonb_agg(s.value || jsonb_build_object('idx', s.ordinality)) as items
    from jsonb_array_elements(settlements) with ordinality s group by 1 order by 1
  loop
    begin
      results := results || queue_worker.settle_queue(batch.queue, batch.items, worker);
    exception when others then
      if queue_worker.is_transient(sqlstate) then
        raise;
      end if;
      results := results || queue_worker.settle_each(batch.queue, batch.items, worker);
    end;
  end loop;
  return coalesce((
    select jsonb_agg(r.value - 'idx' order by (r.value ->> 'idx')::int) from jsonb_array_elements(results) r), '[]');
end $$;
comment on function queue_worker.settle(jsonb, text) is
  'Settles deliveries [{queue, msg_id, delivery, enqueued_at, outcome archive|delete|retry|snooze|release|dead, delay_ms?, '
  'error?, reason?, attempts?, sends?, ran_ms?, waited_ms?}]; returns [{status, error?}] in the same order. Raises QW002.';
