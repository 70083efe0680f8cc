-- queue-worker, 6: settling: recording how deliveries ended, behind the fence of the file before.

create or replace function queue_worker.remove_messages(queue text, items queue_worker.item[], keep boolean)
returns void language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  ids constant bigint[] := array(select x.msg_id from unnest(items) x);
begin
  if not keep then
    execute format('delete from %s m where m.msg_id = any ($1)', source) using ids;
    return;
  end if;
  execute format('with gone as (delete from %1$s m where m.msg_id = any ($1) returning %3$s) insert into %2$s (%3$s) select %3$s from gone',
    source, queue_worker.archive_table(queue), queue_worker.archive_columns(queue)) using ids;
end $$;
comment on function queue_worker.remove_messages(text, queue_worker.item[], boolean) is
  'Takes locked messages out of their queue: into its archive if keep, else for good.';

create or replace function queue_worker.bury_messages(queue text, items queue_worker.item[], worker text)
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
      'queue', $2, 'msg_id', m.msg_id, 'origin_key', queue_worker.origin_key($2, m.msg_id, m.enqueued_at),
      'reason', x.reason, 'error', x.error, 'attempts', coalesce(x.attempts, 0), 'deliveries', m.read_ct,
      'enqueued_at', m.enqueued_at, 'dead_at', clock_timestamp(), 'worker_id', $3))
    from unnest($1) x join %3$s m on m.msg_id = x.msg_id order by m.msg_id
    $q$, queue_worker.queue_table(graveyard),
    case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end, source)
    using items, queue, worker;
  perform queue_worker.record_outcomes(queue, items, worker);
  perform queue_worker.remove_messages(queue, items, false);
end $$;
comment on function queue_worker.bury_messages(text, queue_worker.item[], text) is
  'Moves locked messages to the dead-letter queue, which it creates if it is missing, with reason, error and history.';

create or replace function queue_worker.hide_messages(queue text, items queue_worker.item[], worker text)
returns void language plpgsql set search_path = '' as $$
declare
  item queue_worker.item;
  held_until timestamptz;
begin
  perform queue_worker.record_outcomes(queue, items, worker);
  for item in select x.* from unnest(items) x where x.breaker is not null order by x.idx loop
    held_until := queue_worker.trip_breaker(queue, item.msg_id, item.enqueued_at, item.delivery,
      item.breaker ->> 'reason', (item.breaker ->> 'retry_after_ms')::float8);
  end loop;
  execute format($q$
    update %s m set vt = greatest(case when x.breaker is not null then $2 end,
      clock_timestamp() + make_interval(secs => least(greatest(coalesce(nullif(x.delay_ms, 'NaN'), 0), 0) / 1000, 315360000)))
    from unnest($1) x where m.msg_id = x.msg_id
    $q$, queue_worker.queue_table(queue)) using items, held_until;
end $$;
comment on function queue_worker.hide_messages(text, queue_worker.item[], text) is
  'Retry, snooze and release: records the outcome and makes the message visible again after delay_ms (0: now; at most ten years), and '
  'not before the breaker lets it if it tripped that.';

create or replace function queue_worker.lock_for_trips(settlements jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  if settlements @? '$[*].breaker' then
    perform queue_worker.lock_queues(array(
      select x.queue from jsonb_to_recordset(settlements) x(queue text, breaker jsonb) where x.breaker is not null));
  end if;
end $$;
comment on function queue_worker.lock_for_trips(jsonb) is 'When one of these settlements trips a breaker: locks its queue.';

-- Sends commit with their settlement; one that cannot be sent rejects its settlement and no other.
create or replace function queue_worker.send_with(items queue_worker.item[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  carrier record;
  rejected jsonb := '[]';
begin
  for carrier in
    select x.idx, x.sends from unnest(items) x where jsonb_array_length(nullif(x.sends, 'null')) > 0 order by x.idx
  loop
    begin
      perform queue_worker.send(carrier.sends);
    exception when others then
      if queue_worker.is_transient(sqlstate) then
        raise;
      end if;
      rejected := rejected || jsonb_build_object('idx', carrier.idx, 'status', 'rejected', 'error', sqlerrm);
    end;
  end loop;
  return rejected;
end $$;
comment on function queue_worker.send_with(queue_worker.item[]) is
  'Sends what settlements carry; returns those that cannot be done as [{idx, status rejected, error}].';

create or replace function queue_worker.settle_queue(queue text, items queue_worker.item[], worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  held queue_worker.item[] := queue_worker.lock_deliveries(queue, items);
  rejected constant jsonb := queue_worker.send_with(held);
  grouped record;
begin
  if rejected <> '[]' then
    held := array(select x from unnest(held) x where not rejected @> jsonb_build_array(jsonb_build_object('idx', x.idx)));
  end if;
  for grouped in select x.outcome, array_agg(x) as chosen from unnest(held) x group by x.outcome loop
    case grouped.outcome
      when 'archive' then perform queue_worker.remove_messages(queue, grouped.chosen, true);
      when 'delete' then perform queue_worker.remove_messages(queue, grouped.chosen, false);
      when 'dead' then perform queue_worker.bury_messages(queue, grouped.chosen, worker);
      when 'retry', 'snooze', 'release' then perform queue_worker.hide_messages(queue, grouped.chosen, worker);
    end case;
  end loop;
  perform queue_worker.add_stats(queue, array(select x.outcome from unnest(held) x order by x.idx),
    array(select x.ran_ms from unnest(held) x order by x.idx), array(select x.waited_ms from unnest(held) x order by x.idx));
  return rejected
    || coalesce((select jsonb_agg(jsonb_build_object('idx', x.idx, 'status', 'ok')) from unnest(held) x), '[]')
    || case when cardinality(held) + jsonb_array_length(rejected) = cardinality(items) then '[]' else (
      select coalesce(jsonb_agg(jsonb_build_object('idx', x.idx, 'status',
        queue_worker.late_status(x.queue, x.msg_id, x.enqueued_at, x.delivery, x.outcome))), '[]')
      from unnest(items) x
      where x.idx not in (select h.idx from unnest(held) h)
        and x.idx not in (select (r.value ->> 'idx')::int from jsonb_array_elements(rejected) r)) end;
end $$;
comment on function queue_worker.settle_queue(text, queue_worker.item[], text) is
  'Settles deliveries of one queue; returns [{idx, status ok|already|gone|lost|rejected, error?}].';

-- When something refuses what is asked (an id that the archive has already, say), only what is refused is rejected.
create or replace function queue_worker.settle_each(queue text, items queue_worker.item[], worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  item queue_worker.item;
  results jsonb := '[]';
begin
  foreach item in array items loop
    begin
      results := results || queue_worker.settle_queue(queue, array[item], worker);
    exception when others then
      if queue_worker.is_transient(sqlstate) then
        raise;
      end if;
      results := results || jsonb_build_object('idx', item.idx, 'status', 'rejected', 'error', sqlerrm);
    end;
  end loop;
  return results;
end $$;
comment on function queue_worker.settle_each(text, queue_worker.item[], text) is
  'settle_queue one by one, after it failed for all together: finds and rejects those that cannot be done.';

create or replace function queue_worker.settle(settlements jsonb, worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  all_items constant queue_worker.item[] := queue_worker.parse_items(settlements, true);
  batch record;
  results jsonb := '[]';
begin
  perform queue_worker.lock_for_trips(settlements);
  for batch in -- queues in name order: two settles that share queues cannot wait for each other in a circle
    select i.queue, array_agg(i) as items, min(i.outcome) as outcome,
      min(i.outcome) = max(i.outcome) and min(i.outcome) in ('archive', 'delete') and count(nullif(i.sends, 'null')) = 0 as is_plain,
      array_agg(i.msg_id) as msg_ids, array_agg(i.delivery) as deliveries, array_agg(i.enqueued_at) as enqueued_ats,
      array_agg(i.ran_ms) as ran_ms, array_agg(i.waited_ms) as waited_ms
    from unnest(all_items) i group by i.queue order by i.queue
  loop
    begin
      if batch.is_plain and queue_worker.finish(batch.queue, batch.outcome, batch.msg_ids, batch.deliveries, batch.enqueued_ats,
        batch.ran_ms, batch.waited_ms)
      then
        results := results || (select jsonb_agg(jsonb_build_object('idx', i.idx, 'status', 'ok')) from unnest(batch.items) i);
      else
        results := results || queue_worker.settle_queue(batch.queue, batch.items, worker);
      end if;
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
  'error?, reason?, attempts?, sends?, breaker? {reason, retry_after_ms?}, ran_ms?, waited_ms?}]; returns [{status, error?}] in the same order. Raises QW002.';
