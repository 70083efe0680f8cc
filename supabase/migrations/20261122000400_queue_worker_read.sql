-- queue-worker, 4: reading one queue: which messages are due, and starting their deliveries.

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

create or replace function queue_worker.plain_bytes() returns int
language sql immutable set search_path = '' as $$ select 1900 $$;
comment on function queue_worker.plain_bytes() is
  'A payload stored in fewer bytes, and not compressed, is measured at once: as text it may be longer all the same.';

-- Which are due is asked of the index on vt, so messages that are delayed or in flight cost nothing however many
-- they are; pgmq.read walks over all of them. Messages that are neither compressed nor moved out of line are measured as the text that
-- travels (a number such as 1e100000 is short where it is stored); only when others are among them, or they are too much, one after the other.
create or replace function queue_worker.lock_due(
  source regclass, max_messages int, max_bytes bigint, first_always boolean, at timestamptz,
  out msg_ids bigint[], out due_at timestamptz[], out bytes bigint, out has_history boolean)
language plpgsql set search_path = '' as $$
declare
  is_large boolean;
  fits int;
begin
  execute format($q$
    select array_agg(d.msg_id), array_agg(d.vt), coalesce(sum(d.bytes), 0), bool_or(d.read_ct > 0), bool_or(d.bytes is null)
    from (
      select m.msg_id, m.vt, m.read_ct, case when coalesce(pg_column_size(m.message), 0) < queue_worker.plain_bytes()
        and pg_column_compression(m.message) is null then coalesce(octet_length(m.message::text), 0) end as bytes
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
