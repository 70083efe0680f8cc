-- queue-worker, 4: reading.

create or replace function queue_worker.computed_origin_key(queue text, msg_id bigint, enqueued_at timestamptz)
returns text language sql immutable set search_path = '' as $$
  select left(encode(sha256(convert_to(
    queue || '/' || msg_id || '/' || (extract(epoch from enqueued_at) * 1000000)::bigint, 'UTF8')), 'hex'), 32)
$$;
comment on function queue_worker.computed_origin_key(text, bigint, timestamptz) is
  'A message''s identity for effects when no other was given: 32 hex digits, the same for every delivery.';

create or replace function queue_worker.origin_key(queue text, msg_id bigint, enqueued_at timestamptz)
returns text language sql stable set search_path = '' as $$
  select coalesce(
    (select o.origin_key from queue_worker.origins o
     where o.queue = $1 and o.msg_id = $2 and o.enqueued_at = $3),
    queue_worker.computed_origin_key($1, $2, $3))
$$;
comment on function queue_worker.origin_key(text, bigint, timestamptz) is
  'A message''s origin key: the one it was given (redrive, producer), else the computed one.';

-- A first delivery has no history, and then none is looked for. The origin key is computed in place (as computed_origin_key does): a call for each row would cost more than the read.
-- Which are due is asked of the index on vt, so messages that are delayed or in flight cost nothing however many
-- they are; pgmq.read walks over all of them. Sizes: a message that is neither compressed nor moved out of line
-- is about as long as its text; only the others are measured exactly, part by part until the budget is full.
create or replace function queue_worker.read_queue(
  queue text, max_messages int, visibility_timeout interval, max_bytes bigint, first_always boolean)
returns table (msg_id bigint, delivery int, failures int, interruptions int, died_alone int, enqueued_at timestamptz,
  waited_ms float8, origin_key text, message jsonb, headers jsonb, bytes bigint)
language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  at constant timestamptz := clock_timestamp();
begin
  return query execute format($q$
    with recursive due as materialized (
      select m.msg_id, m.vt, m.message, coalesce(pg_column_size(m.message), 0)::bigint as stored
      from %1$s m where m.vt <= $1 order by m.vt limit $2 for update skip locked
    ), placed as materialized (
      select d.*, row_number() over (order by d.vt, d.msg_id) as place,
        d.stored >= 1900 or pg_column_compression(d.message) is not null as is_large
      from due d
    ), large as materialized (
      select p.place, p.message, (row_number() over (order by p.place) - 1) / 16 as part from placed p where p.is_large
    ), walk as (
      select -1::bigint as part, 0::numeric as total, '{}'::bigint[] as places, '{}'::bigint[] as sizes
      union all
      select w.part + 1, w.total + x.total, x.places, x.sizes
      from walk w cross join lateral (
        select sum(y.bytes) as total, array_agg(y.place) as places, array_agg(y.bytes) as sizes
        from (select l.place, octet_length(l.message::text)::bigint as bytes from large l
              where l.part = w.part + 1 offset 0) y) x
      where w.total <= $4 and x.total is not null
    ), sized as (
      select u.place, u.bytes from walk w cross join lateral unnest(w.places, w.sizes) as u(place, bytes)
    ), measured as (
      select p.msg_id, p.vt, p.place, coalesce(z.bytes, p.stored) as bytes,
        sum(coalesce(z.bytes, p.stored)) over (order by p.place rows unbounded preceding) as total
      from placed p left join sized z on z.place = p.place
      where z.place is not null or not p.is_large
    ), taken as (
      update %1$s m set vt = $1 + $3, read_ct = m.read_ct + 1 %2$s
      from measured d where m.msg_id = d.msg_id and (d.total <= $4 or ($5 and d.place = 1))
      returning m.msg_id, m.read_ct, m.enqueued_at, d.vt as due_at, m.message, %3$s as headers, d.bytes
    )
    select t.msg_id, t.read_ct, h.failures, t.read_ct - 1 - h.recorded, a.died_alone,
      t.enqueued_at, extract(epoch from $1 - t.due_at)::float8 * 1000,
      coalesce(g.origin_key, left(encode(sha256(convert_to(
        $6 || '/' || t.msg_id || '/' || (extract(epoch from t.enqueued_at) * 1000000)::bigint, 'UTF8')), 'hex'), 32)),
      t.message, t.headers, t.bytes
    from taken t
    left join queue_worker.origins g on g.queue = $6 and g.msg_id = t.msg_id and g.enqueued_at = t.enqueued_at
    cross join lateral (
      select count(*) filter (where o.outcome = 'retry')::int as failures, count(*)::int as recorded
      from queue_worker.outcomes o
      where t.read_ct > 1 and o.queue = $6 and o.msg_id = t.msg_id and o.enqueued_at = t.enqueued_at) h
    cross join lateral (
      select count(*)::int as died_alone from queue_worker.isolations i
      where t.read_ct > 1 and i.queue = $6 and i.msg_id = t.msg_id and i.enqueued_at = t.enqueued_at
        and i.delivery < t.read_ct and not exists (
          select 1 from queue_worker.outcomes o where o.queue = i.queue and o.msg_id = i.msg_id
            and o.enqueued_at = i.enqueued_at and o.delivery = i.delivery)) a
    order by t.msg_id
  $q$, source,
    case when queue_worker.has_column(source, 'last_read_at') then ', last_read_at = $1' else '' end,
    case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end)
  using at, max_messages, visibility_timeout, max_bytes, first_always, queue;
end $$;
comment on function queue_worker.read_queue(text, int, interval, bigint, boolean) is
  'Hides and returns up to max_messages due messages, longest due first, as long as their payloads fit into max_bytes '
  '(the first one regardless if first_always). waited_ms: since they became visible.';

create or replace function queue_worker.history(queue text, msg_id bigint, enqueued_at timestamptz)
returns table (failures int, recorded int, died_alone int)
language sql stable set search_path = '' as $$
  select count(*) filter (where o.outcome = 'retry')::int, count(o.outcome)::int,
    count(*) filter (where i.delivery is not null and o.outcome is null)::int
  from (select x.delivery, x.outcome from queue_worker.outcomes x
        where x.queue = $1 and x.msg_id = $2 and x.enqueued_at = $3) o
  full join (select y.delivery from queue_worker.isolations y
        where y.queue = $1 and y.msg_id = $2 and y.enqueued_at = $3) i on i.delivery = o.delivery
$$;
comment on function queue_worker.history(text, bigint, timestamptz) is
  'What is recorded of a message''s deliveries: failures, all outcomes, and runs alone that ended without an outcome.';

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

-- Queues are read in the order asked, each in a block of its own: one that is missing or fails does not undo another.
create or replace function queue_worker.read(demands jsonb, max_bytes bigint) returns jsonb
language plpgsql set search_path = '' as $$
declare
  demand record;
  found_messages jsonb;
  used bigint;
  remaining bigint := max_bytes;
  messages jsonb := '[]';
  states jsonb := '[]';
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
    found_messages := null; used := 0; failure := null; next_ms := null;
    if coalesce(demand.queue, '') !~ '^[a-z0-9_-]{1,43}$' then
      status := 'error'; failure := 'this is no queue name: use 1 to 43 of a-z, 0-9, _ and -';
    elsif demand.source is null then
      status := 'missing';
    elsif demand.paused then
      status := 'paused';
    else
      begin
        read_at := clock_timestamp();
        select jsonb_agg(jsonb_build_object('queue', demand.queue, 'msg_id', r.msg_id::text, 'delivery', r.delivery,
            'failures', r.failures, 'interruptions', r.interruptions, 'died_alone', r.died_alone,
            'enqueued_at', r.enqueued_at, 'waited_ms', r.waited_ms, 'origin_key', r.origin_key,
            'message', r.message, 'headers', r.headers)), coalesce(sum(r.bytes), 0)
        into found_messages, used
        from queue_worker.read_queue(demand.queue, demand.max_messages, demand.visibility_timeout,
          greatest(remaining, 0), messages = '[]') r;
        next_ms := queue_worker.next_visible_in_ms(demand.source, read_at,
          coalesce(jsonb_array_length(found_messages), 0) < demand.max_messages
            and (found_messages is not null or messages <> '[]'));
        status := 'ok';
      exception when others then
        status := 'error'; failure := sqlerrm; found_messages := null; used := 0;
      end;
    end if;
    remaining := remaining - used;
    messages := messages || coalesce(found_messages, '[]');
    states := states || jsonb_build_object('queue', demand.queue, 'status', status,
      'next_visible_in_ms', next_ms, 'error', failure);
  end loop;
  return jsonb_build_object('messages', messages, 'queues', states);
end $$;
comment on function queue_worker.read(jsonb, bigint) is
  'Reads several queues: demands [{queue, limit (at most 1000), vt_seconds}], max_bytes for all payloads together. '
  'Returns {messages, queues: [{queue, status ok|paused|missing|error, next_visible_in_ms, error}]}; next_visible_in_ms is 0 '
  'when the byte budget left due messages behind.';
