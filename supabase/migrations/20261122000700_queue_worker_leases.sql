-- queue-worker, 7: leases: the heartbeat that extends them, and suspects that run alone.

create or replace function queue_worker.extend_queue(queue text, items queue_worker.item[]) returns int[]
language plpgsql set search_path = '' as $$
declare
  held constant queue_worker.item[] := queue_worker.lock_deliveries(queue, items);
begin
  if held <> '{}' then
    execute format($q$
      update %s m set vt = greatest(m.vt, clock_timestamp() + make_interval(secs => least(x.vt_seconds, 315360000)))
      from unnest($1) x where m.msg_id = x.msg_id
      $q$, queue_worker.queue_table(queue)) using held;
  end if;
  return array(select x.idx from unnest(held) x);
end $$;
comment on function queue_worker.extend_queue(text, queue_worker.item[]) is
  'Extends leases in one queue; returns idx of those that are still held.';

create or replace function queue_worker.extend(leases jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  all_items constant queue_worker.item[] := queue_worker.parse_items(leases, false);
  batch record;
  held int[] := '{}';
begin
  for batch in select i.queue, array_agg(i) as items from unnest(all_items) i group by i.queue order by i.queue loop
    held := held || queue_worker.extend_queue(batch.queue, batch.items);
  end loop;
  return to_jsonb(array(select n = any (held) from generate_series(1, cardinality(all_items)) n order by n));
end $$;
comment on function queue_worker.extend(jsonb) is
  'Extends leases [{queue, msg_id, delivery, enqueued_at, vt_seconds}] to at least vt_seconds from now, never shortening one; '
  'returns, in the same order, whether each is still held. Raises QW002.';

create or replace function queue_worker.isolate(lease jsonb, worker text) returns boolean
language plpgsql set search_path = '' as $$
begin
  if not (queue_worker.extend(jsonb_build_array(lease)) ->> 0)::boolean then
    return false;
  end if;
  insert into queue_worker.isolations (queue, msg_id, enqueued_at, delivery, worker_id)
  values (lease ->> 'queue', (lease ->> 'msg_id')::bigint, (lease ->> 'enqueued_at')::timestamptz,
    (lease ->> 'delivery')::int, worker)
  on conflict do nothing;
  return true;
end $$;
comment on function queue_worker.isolate(jsonb, text) is
  'Records that a message is about to run alone and extends its lease {queue, msg_id, delivery, enqueued_at, vt_seconds}; '
  'false, recording nothing, when the lease is lost.';
