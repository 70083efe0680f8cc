-- queue-worker, 7: leases: the heartbeat that extends them, and suspects that run alone.

create or replace function queue_worker.extend_queue(queue text, items jsonb) returns int[]
language plpgsql set search_path = '' as $$
declare
  held int[];
begin
  if queue_worker.queue_table(queue) is null then
    return '{}';
  end if;
  held := coalesce(queue_worker.lock_deliveries(queue, items), '{}');
  execute format($q$
    update %s m set vt = greatest(m.vt, clock_timestamp() + make_interval(secs => least(x.vt_seconds, 315360000)))
    from jsonb_to_recordset($1) as x(idx int, msg_id bigint, vt_seconds float8)
    where m.msg_id = x.msg_id and x.idx = any ($2)
    $q$, queue_worker.queue_table(queue)) using items, held;
  return held;
end $$;
comment on function queue_worker.extend_queue(text, jsonb) is 'Extends leases in one queue; returns idx of those that are still held.';

create or replace function queue_worker.extend(leases jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  batch record;
  held int[] := '{}';
begin
  for batch in
    select l.value ->> 'queue' as queue, jsonb_agg(l.value || jsonb_build_object('idx', l.ordinality)) as items
    from jsonb_array_elements(leases) with ordinality l group by 1 order by 1
  loop
    held := held || queue_worker.extend_queue(batch.queue, batch.items);
  end loop;
  return coalesce((select jsonb_agg(l.ordinality = any (held) order by l.ordinality)
    from jsonb_array_elements(leases) with ordinality l), '[]');
end $$;
comment on function queue_worker.extend(jsonb) is
  'Extends leases [{queue, msg_id, delivery, enqueued_at, vt_seconds}] to at least vt_seconds from now, never shortening one; '
  'returns, in the same order, whether each is still held.';

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
