-- queue-worker, 4: reading several queues at once.

-- Counted from just before the read: what became due between that and now was not read, and is due at once.
-- With left_over the byte budget may have left due messages behind; then the answer is 0, not when others wake up.
create or replace function queue_worker.next_visible_in_ms(source regclass, since timestamptz, left_over boolean) returns float8
language plpgsql stable set search_path = '' as $$
declare
  soonest timestamptz;
  is_due boolean;
begin
  if left_over then
    execute format('select exists (select 1 from %s m where m.vt <= $1)', source) into is_due using clock_timestamp();
    if is_due then
      return 0;
    end if;
  end if;
  execute format('select min(m.vt) from %s m where m.vt > $1', source) into soonest using since;
  return case when soonest is not null then greatest(0, extract(epoch from soonest - clock_timestamp()) * 1000) end;
end $$;
comment on function queue_worker.next_visible_in_ms(regclass, timestamptz, boolean) is
  'Milliseconds until the soonest message that was hidden then becomes visible, through the index on vt; null when none was; '
  '0 when asked to look for due messages and there are some.';

-- What nearly every read finds is small messages that were never read before: one statement then does what lock_due and take do in two.
-- Its list of ids is for the planner, as in take. Where is_plain is false it takes nothing, and its locks are no hindrance to lock_due.
-- Given origin keys are looked for in the same statement: one before it might not see those of a message that it takes.
-- Queues are read in the order asked, each in a block of its own: one that is missing or fails does not undo another. Its rows
-- do not stand if its state says error or missing: what was returned before an error is rolled back in the table, but not in the answer.
create or replace function queue_worker.read_rows(demands jsonb, max_bytes bigint)
returns table (queue text, msg_id bigint, delivery int, failures int, interruptions int, died_alone int, enqueued_at timestamptz,
  waited_ms float8, origin_key text, message jsonb, headers jsonb, state jsonb)
language plpgsql set search_path = '' as $$
declare
  demand record;
  source regclass;
  due record;
  found_here int;
  found_before boolean := false;
  remaining bigint := max_bytes;
  status text;
  failure text;
  next_ms float8;
  read_at timestamptz;
  is_patient boolean := true;
  is_probe boolean;
  probe bigint;
begin
  for demand in
    select d.queue, greatest(0, least(coalesce(d."limit", 0), 1000)) as max_messages,
      make_interval(secs => d.vt_seconds) as visibility_timeout, queue_worker.queue_table(d.queue) as source,
      coalesce(q.paused, false) as paused, q.rate_limit is not null or q.breaker_until is not null as is_governed,
      queue_worker.has_column(queue_worker.queue_table(d.queue), 'last_read_at') as has_last_read_at,
      queue_worker.has_column(queue_worker.queue_table(d.queue), 'headers') as has_headers
    from rows from (jsonb_to_recordset(demands) as (queue text, "limit" int, vt_seconds float8)) with ordinality d
    left join queue_worker.queues q on q.queue = d.queue
    order by d.ordinality
  loop
    failure := null; next_ms := null; status := null; is_probe := false; source := demand.source;
    if demand.is_governed and source is not null and not demand.paused then
      if queue_worker.lock_queue(demand.queue, is_patient) then
        select g.allowed, g.is_probe, g.status, g.next_ms, g.failure into demand.max_messages, is_probe, status, next_ms, failure
        from queue_worker.gate(demand.queue, source, demand.max_messages) g;
      else
        is_patient := false; -- it has waited once
        select g.status, g.next_ms into status, next_ms from queue_worker.gate_in_use(demand.queue, source) g;
      end if;
    end if;
    if status is not null then
      null; -- it may give nothing now
    elsif coalesce(demand.queue, '') !~ '^[a-z0-9_-]{1,43}$' then
      status := 'error'; failure := 'this is no queue name: use 1 to 43 of a-z, 0-9, _ and -';
    elsif source is null then
      status := 'missing';
    elsif demand.paused then
      status := 'paused';
    else
      begin
        read_at := clock_timestamp();
        found_here := 0;
        if demand.max_messages::bigint * queue_worker.plain_bytes() <= remaining and not is_probe then
          return query execute format($q$
            with due as materialized (
              select m.msg_id, m.vt, m.read_ct, case when coalesce(pg_column_size(m.message), 0) < queue_worker.plain_bytes()
                and pg_column_compression(m.message) is null then coalesce(octet_length(m.message::text), 0) end as bytes
              from %1$s m where m.vt <= $1 order by m.vt limit $2 for update skip locked),
            whole as materialized (
              select max(d.read_ct) = 0 and count(d.bytes) = count(*) and sum(d.bytes) <= count(*) * queue_worker.plain_bytes() as is_plain from due d),
            taken as (
              update %1$s m set vt = $1 + $3, read_ct = m.read_ct + 1 %2$s
              from due d
              where m.msg_id = d.msg_id and m.msg_id = any (array(select x.msg_id from due x)) and (select w.is_plain from whole w)
              returning m.msg_id, m.read_ct, m.enqueued_at, d.vt, m.message, %3$s as headers
            )
            select $4, t.msg_id, t.read_ct, 0, 0, 0, t.enqueued_at, extract(epoch from $1 - t.vt)::float8 * 1000,
              case when (select exists (select 1 from queue_worker.origins o where o.queue = $4)) then
                (select o.origin_key from queue_worker.origins o where o.queue = $4 and o.msg_id = t.msg_id and o.enqueued_at = t.enqueued_at) end,
              t.message, t.headers, null::jsonb
            from taken t order by t.msg_id
            $q$, source,
            case when demand.has_last_read_at then ', last_read_at = $1' else '' end,
            case when demand.has_headers then 'm.headers' else 'null::jsonb' end)
          using read_at, demand.max_messages, demand.visibility_timeout, demand.queue;
          get diagnostics found_here = row_count;
        end if;
        if found_here > 0 then
          remaining := remaining - found_here::bigint * queue_worker.plain_bytes();
          -- As many as were asked for: more may be due. Else only another read tells when there will be some.
          next_ms := case when found_here = demand.max_messages then 0 end;
        else
          select * into due from queue_worker.lock_due(
            source, demand.max_messages, greatest(remaining, 0), not found_before, read_at);
          found_here := coalesce(cardinality(due.msg_ids), 0);
          if found_here > 0 then
            return query select demand.queue, t.*, null::jsonb from queue_worker.take(
              demand.queue, source, due.msg_ids, due.due_at, read_at, demand.visibility_timeout, due.has_history) t;
          end if;
          next_ms := case when found_here = demand.max_messages and found_here > 0 then 0 else queue_worker.next_visible_in_ms(
            source, read_at, found_before or found_here > 0) end;
          remaining := remaining - coalesce(due.bytes, 0);
        end if;
        found_before := found_before or found_here > 0;
        status := 'ok';
        if demand.is_governed then
          if is_probe then
            probe := due.msg_ids[1];
          end if;
          select p.next_ms, p.status into next_ms, status from queue_worker.passed(
            demand.queue, source, found_here, probe, is_probe, demand.visibility_timeout, next_ms) p;
        end if;
      exception when others then
        -- It may have been dropped meanwhile.
        status := case when queue_worker.queue_table(demand.queue) is null then 'missing' else 'error' end;
        failure := case when status = 'error' then sqlerrm end;
      end;
    end if;
    queue := demand.queue; msg_id := null; delivery := null; failures := null; interruptions := null; died_alone := null;
    enqueued_at := null; waited_ms := null; origin_key := null; message := null; headers := null;
    state := jsonb_build_object('queue', demand.queue, 'status', status, 'next_visible_in_ms', next_ms, 'error', failure);
    if status in ('breaker_open', 'breaker_half_open') then
      state := state || jsonb_build_object('breaker', queue_worker.breaker(demand.queue));
    end if;
    return next;
  end loop;
end $$;
comment on function queue_worker.read_rows(jsonb, bigint) is
  'Reads several queues: demands [{queue, limit (at most 1000), vt_seconds}], max_bytes for all payloads together. One row a message, '
  'and after those of a queue one with its state {queue, status ok|paused|missing|error|limited|breaker_open|breaker_half_open, '
  'next_visible_in_ms, error, breaker?}: when that says error or missing, its messages were not read. next_visible_in_ms is 0 when due messages may be left, and may be null when there are messages. origin_key is null when it is the computed one.';

-- json, not jsonb: what is only printed need not be taken apart first, and jsonb_agg's time grows with the square of the number of
-- keys in a message.
do $$
begin
  if pg_catalog.pg_get_function_result(to_regprocedure('queue_worker.read(jsonb, bigint, boolean)')) = 'jsonb' then
    drop function queue_worker.read(jsonb, bigint, boolean);
    drop function queue_worker.read_as_asked(jsonb);
  end if;
end $$;
create or replace function queue_worker.read(demands jsonb, max_bytes bigint, only_given_keys boolean) returns json
language sql set search_path = '' set timezone = 'UTC' as $$
  with answer as materialized (select * from queue_worker.read_rows(demands, max_bytes)),
  read as (
    select a.queue, a.msg_id::text as msg_id, a.delivery, a.failures, a.interruptions, a.died_alone, a.enqueued_at, a.waited_ms,
      case when only_given_keys then a.origin_key
        else coalesce(a.origin_key, queue_worker.computed_origin_key(a.queue, a.msg_id, a.enqueued_at)) end as origin_key, a.message, a.headers
    from answer a
    where a.state is null
      and a.queue not in (select f.queue from answer f where f.state ->> 'status' in ('error', 'missing') and f.queue is not null))
  select json_build_object('messages', coalesce((select array_to_json(array_agg(r)) from read r), '[]'),
    'queues', coalesce((select json_agg(a.state) from answer a where a.state is not null), '[]'))
$$;
comment on function queue_worker.read(jsonb, bigint, boolean) is
  'read_rows as one JSON value: {messages: [{queue, msg_id, delivery, …}], queues: [{queue, status, next_visible_in_ms, error}]}. '
  'With only_given_keys, an origin_key that would have to be computed is null.';

create or replace function queue_worker.read_as_asked(request jsonb) returns json
language sql set search_path = '' as $$
  select queue_worker.read(queue_worker.list_in(request, 'queues'), coalesce((request ->> 'max_bytes')::bigint, 8388608),
    coalesce((request ->> 'only_given_keys')::boolean, false))
$$;
comment on function queue_worker.read_as_asked(jsonb) is 'The reading part of a request: {queues, max_bytes?, only_given_keys?}.';
