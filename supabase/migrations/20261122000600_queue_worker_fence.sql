-- queue-worker, 6: the fence: a settlement acts only while its delivery is the newest of its message and has no
-- outcome yet. Rows are locked first, in id order (no deadlocks with heartbeats), and outcomes are looked up in a
-- later statement, whose snapshot sees what a settle we waited for has committed.

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

create or replace function queue_worker.record_outcomes(queue text, items jsonb, chosen int[], worker text)
returns void language sql set search_path = '' as $$
  insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, error, worker_id)
  select $1, x.msg_id, x.enqueued_at, x.delivery, x.outcome, x.error, worker
  from jsonb_to_recordset(items) as x(idx int, msg_id bigint, enqueued_at timestamptz, delivery int, outcome text, error text)
  where x.idx = any (chosen)
$$;
comment on function queue_worker.record_outcomes(text, jsonb, int[], text) is
  'Writes the outcomes of locked deliveries; from then on they are fenced off.';

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
