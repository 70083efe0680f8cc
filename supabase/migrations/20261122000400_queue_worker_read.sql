-- queue-worker, 4: reading.

-- Sizes are those of the text that travels. Only the prefix that fits is measured, a few at a time: a large message must be unpacked for it.
create or replace function queue_worker.fitting(
  source regclass, msg_ids bigint[], max_bytes bigint, first_always boolean, out fits int, out bytes bigint)
language plpgsql stable set search_path = '' as $$
declare
  one bigint;
begin
  fits := 0; bytes := 0;
  for at_place in 1 .. cardinality(msg_ids) by 16 loop
    for one in execute format($q$
      select coalesce(octet_length(m.message::text), 0) from unnest($1) with ordinality i(msg_id, place)
      join %s m on m.msg_id = i.msg_id order by i.place
      $q$, source) using msg_ids[at_place : at_place + 15]
    loop
      if bytes + one > max_bytes and not (first_always and fits = 0) then
        return;
      end if;
      fits := fits + 1; bytes := bytes + one;
    end loop;
  end loop;
end $$;
comment on function queue_worker.fitting(regclass, bigint[], bigint, boolean) is
  'How many of these messages, from the first on, have payloads that fit into max_bytes as text (the first one regardless if '
  'first_always), and their bytes.';

-- Which are due is asked of the index on vt, so messages that are delayed or in flight cost nothing however many
-- they are; pgmq.read walks over all of them. A message that is neither compressed nor moved out of line is about as long as
-- its text; only when there are others, sizes are measured exactly.
create or replace function queue_worker.lock_due(
  source regclass, max_messages int, max_bytes bigint, first_always boolean, at timestamptz,
  out msg_ids bigint[], out due_at timestamptz[], out bytes bigint, out has_history boolean)
language plpgsql set search_path = '' as $$
declare
  is_large boolean;
  fits int;
begin
  execute format($q$
    select array_agg(d.msg_id), array_agg(d.vt), coalesce(sum(d.stored), 0), bool_or(d.read_ct > 0),
      bool_or(d.stored >= 1900 or d.compression is not null)
    from (
      select m.msg_id, m.vt, m.read_ct, coalesce(pg_column_size(m.message), 0) as stored, pg_column_compression(m.message) as compression
      from %s m where m.vt <= $1 order by m.vt limit $2 for update skip locked) d
    $q$, source) into msg_ids, due_at, bytes, has_history, is_large using at, max_messages;
  if is_large or bytes > max_bytes then
    select f.fits, f.bytes into fits, bytes from queue_worker.fitting(source, msg_ids, max_bytes, first_always) f;
    msg_ids := msg_ids[1 : fits];
  end if;
end $$;
comment on function queue_worker.lock_due(regclass, int, bigint, boolean, timestamptz) is
  'Locks up to max_messages messages that are due at a time, longest due first, as long as their payloads fit into max_bytes (the '
  'first one regardless if first_always); msg_ids is null or empty when there are none.';

-- The ids are given as a list: in a join the planner would scan the whole table for them. What only few messages have (a
-- history, a given origin key) is looked for only when some of these have it.
create or replace function queue_worker.take(
  queue text, source regclass, msg_ids bigint[], due_at timestamptz[], at timestamptz, visibility_timeout interval, has_history boolean)
returns table (msg_id bigint, delivery int, failures int, interruptions int, died_alone int, enqueued_at timestamptz,
  waited_ms float8, origin_key text, message jsonb, headers jsonb)
language plpgsql set search_path = '' as $$
begin
  return query execute format($q$
    with taken as (
      update %1$s m set vt = $1 + $2, read_ct = m.read_ct + 1 %2$s
      where m.msg_id = any ($3)
      returning m.msg_id, m.read_ct, m.enqueued_at, m.message, %3$s as headers
    )
    select t.msg_id, t.read_ct, %4$s, t.enqueued_at, extract(epoch from $1 - d.due_at)::float8 * 1000, %5$s, t.message, t.headers
    from taken t join unnest($3, $4[1 : cardinality($3)]) d(msg_id, due_at) on d.msg_id = t.msg_id %6$s
    order by t.msg_id
    $q$, source,
    case when queue_worker.has_column(source, 'last_read_at') then ', last_read_at = $1' else '' end,
    case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end,
    case when has_history then 'h.failures, t.read_ct - 1 - h.recorded, h.died_alone' else '0, 0, 0' end,
    case when exists (select 1 from queue_worker.origins o where o.queue = take.queue and o.msg_id = any (msg_ids))
      then '(select o.origin_key from queue_worker.origins o where o.queue = $5 and o.msg_id = t.msg_id and o.enqueued_at = t.enqueued_at)'
      else 'null::text' end,
    case when has_history then 'cross join lateral queue_worker.history($5, t.msg_id, t.enqueued_at, t.read_ct) h' else '' end)
  using at, visibility_timeout, msg_ids, due_at, queue;
end $$;
comment on function queue_worker.take(text, regclass, bigint[], timestamptz[], timestamptz, interval, boolean) is
  'Hides locked messages, starting a delivery of each, and returns them. waited_ms: since they became visible. origin_key: null when it is '
  'the computed one.';

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

-- Queues are read in the order asked, each in a block of its own: one that is missing or fails does not undo another. Its rows
-- stand only if its state says ok: what was returned before an error is rolled back in the table, but not in the answer.
create or replace function queue_worker.read_rows(demands jsonb, max_bytes bigint)
returns table (queue text, msg_id bigint, delivery int, failures int, interruptions int, died_alone int, enqueued_at timestamptz,
  waited_ms float8, origin_key text, message jsonb, headers jsonb, state jsonb)
language plpgsql set search_path = '' as $$
declare
  demand record;
  due record;
  found_here int;
  found_before boolean := false;
  remaining bigint := max_bytes;
  status text;
  failure text;
  next_ms float8;
  read_at timestamptz;
begin
  for demand in
    select d.queue, greatest(0, least(coalesce(d."limit", 0), 1000)) as max_messages,
      make_interval(secs => d.vt_seconds) as visibility_timeout, queue_worker.queue_table(d.queue) as source,
      coalesce(q.paused, false) as paused
    from rows from (jsonb_to_recordset(demands) as (queue text, "limit" int, vt_seconds float8)) with ordinality d
    left join queue_worker.queues q on q.queue = d.queue
    order by d.ordinality
  loop
    failure := null; next_ms := null;
    if coalesce(demand.queue, '') !~ '^[a-z0-9_-]{1,43}$' then
      status := 'error'; failure := 'this is no queue name: use 1 to 43 of a-z, 0-9, _ and -';
    elsif demand.source is null then
      status := 'missing';
    elsif demand.paused then
      status := 'paused';
    else
      begin
        read_at := clock_timestamp();
        select * into due from queue_worker.lock_due(
          demand.source, demand.max_messages, greatest(remaining, 0), not found_before, read_at);
        found_here := coalesce(cardinality(due.msg_ids), 0);
        if found_here > 0 then
          return query select demand.queue, t.*, null::jsonb from queue_worker.take(
            demand.queue, demand.source, due.msg_ids, due.due_at, read_at, demand.visibility_timeout, due.has_history) t;
        end if;
        -- As many as were asked for: more may be due, and when others wake up will be asked after those.
        next_ms := case when found_here = demand.max_messages and found_here > 0 then 0 else queue_worker.next_visible_in_ms(
          demand.source, read_at, found_before or found_here > 0) end;
        found_before := found_before or found_here > 0;
        remaining := remaining - coalesce(due.bytes, 0);
        status := 'ok';
      exception when others then
        status := 'error'; failure := sqlerrm;
      end;
    end if;
    return query select demand.queue, null::bigint, null::int, null::int, null::int, null::int, null::timestamptz, null::float8, null::text,
      null::jsonb, null::jsonb, jsonb_build_object('queue', demand.queue, 'status', status, 'next_visible_in_ms', next_ms, 'error', failure);
  end loop;
end $$;
comment on function queue_worker.read_rows(jsonb, bigint) is
  'Reads several queues: demands [{queue, limit (at most 1000), vt_seconds}], max_bytes for all payloads together. One row a message, '
  'and after those of a queue one with its state {queue, status ok|paused|missing|error, next_visible_in_ms, error}: unless that says ok, '
  'its messages were not read. next_visible_in_ms is 0 when due messages may be left. origin_key is null when it is the computed one.';

-- Not jsonb_agg: its time grows with the square of the number of keys in a message.
create or replace function queue_worker.read(demands jsonb, max_bytes bigint, only_given_keys boolean) returns jsonb
language sql set search_path = '' set timezone = 'UTC' as $$
  with answer as materialized (select * from queue_worker.read_rows(demands, max_bytes)),
  failed as (select a.queue from answer a where a.state ->> 'status' = 'error' and a.queue is not null)
  select jsonb_build_object(
    'messages', coalesce(to_jsonb(array_agg(jsonb_build_object('queue', a.queue, 'msg_id', a.msg_id::text, 'delivery', a.delivery,
      'failures', a.failures, 'interruptions', a.interruptions, 'died_alone', a.died_alone,
      'enqueued_at', a.enqueued_at, 'waited_ms', a.waited_ms,
      'origin_key', case when only_given_keys then a.origin_key
        else coalesce(a.origin_key, queue_worker.computed_origin_key(a.queue, a.msg_id, a.enqueued_at)) end, 'message', a.message, 'headers', a.headers))
      filter (where a.state is null and a.queue not in (select f.queue from failed f))), '[]'),
    'queues', coalesce(jsonb_agg(a.state) filter (where a.state is not null), '[]'))
  from answer a
$$;
comment on function queue_worker.read(jsonb, bigint, boolean) is
  'read_rows as one JSON value: {messages: [{queue, msg_id, delivery, …}], queues: [{queue, status, next_visible_in_ms, error}]}. '
  'With only_given_keys, an origin_key that would have to be computed is null.';
