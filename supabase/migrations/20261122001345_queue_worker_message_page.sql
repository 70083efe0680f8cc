-- queue-worker, 13: one page of messages, bite by bite: as many as it takes to fill it, within bounds of rows, bytes and time.

create or replace function queue_worker.check_page(queue text, filter jsonb) returns int
language plpgsql stable set search_path = '' as $$
begin
  perform queue_worker.check_queue_name(queue);
  if coalesce(filter ->> 'state', '') not in ('ready', 'in_flight', 'delayed', 'retrying', 'dead', 'archived') then
    raise exception 'queue-worker: messages of which state?' using errcode = 'QW002', hint = 'Give "state": ready, in_flight, delayed, retrying, dead or archived.';
  elsif coalesce(jsonb_typeof(filter -> 'search'), 'null') <> 'null' and not coalesce(jsonb_typeof(filter #> '{search,path}') = 'array'
    and filter #> '{search,path}' <> '[]' and filter #>> '{search,value}' is not null, false)
  then
    raise exception 'queue-worker: this is no search' using errcode = 'QW002', hint = 'For example: "search": {"path": ["customer", "id"], "value": "17"}.';
  elsif filter ->> 'reason' is not null and filter ->> 'state' <> 'dead' then
    raise exception 'queue-worker: only dead letters have a reason' using errcode = 'QW002', hint = 'Leave "reason" out, or give "state": "dead".';
  elsif queue_worker.queue_table(queue) is null and queue_worker.queue_table(queue_worker.dead_letter_queue(queue)) is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003', hint = 'select * from pgmq.list_queues();';
  end if;
  return least(greatest(coalesce((filter ->> 'limit')::int, 50), 1), 200);
end $$;
comment on function queue_worker.check_page(text, jsonb) is
  'How many lines a page may have. Raises QW002 for what message_page cannot use, QW003 for a queue that is missing.';

create or replace function queue_worker.rows_at(source regclass, stamp text, kind regtype, at text) returns bigint
language plpgsql stable set search_path = '' set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  found bigint;
begin
  execute format('select count(*) from (select from %s m where m.%I = $1::%s limit 1000) r', source, stamp, kind) into found using at;
  return found;
end $$;
comment on function queue_worker.rows_at(regclass, text, regtype, text) is 'How many rows have this very place in the order of an index, up to 1000.';

-- A cursor is the place in the index where the page ended, how many rows with that very place were looked at, and how many there were: what
-- has left the queue since was among those.
create or replace function queue_worker.message_page(queue text, filter jsonb) returns jsonb
language plpgsql volatile set search_path = '' set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
declare
  most constant int := queue_worker.check_page(queue, filter);
  most_looked constant int := 20000;
  most_bytes constant bigint := 8388608;
  begun constant timestamptz := clock_timestamp();
  unpacks constant boolean := filter ->> 'text' is not null or filter #>> '{search,value}' is not null;
  place constant record := queue_worker.page_source(queue, filter ->> 'state');
  at text := nullif(split_part(filter ->> 'after', '/', 1), '');
  seen bigint := coalesce(nullif(split_part(filter ->> 'after', '/', 2), '')::bigint, 0);
  query text;
  size int := most + 1;
  looked int := 0;
  bytes bigint := 0;
  lines jsonb := '[]';
  bite record;
begin
  if place.source is null then
    return '{"messages": [], "next": null, "looked_at": 0}';
  elsif at is not null then
    seen := greatest(0, seen - greatest(0, split_part(filter ->> 'after', '/', 3)::bigint - queue_worker.rows_at(place.source, place.stamp, place.kind::regtype, at)));
    if place.side = 'm.vt > $4' and at::timestamptz <= begun then
      seen := 0; -- it has become visible meanwhile, and is none of these any more
    end if;
  end if;
  query := queue_worker.page_query(queue, filter ->> 'state', filter);
  loop
    execute query into bite using at, seen, size, begun, filter, queue, most - jsonb_array_length(lines), most_bytes - bytes;
    lines := lines || bite.lines;
    looked := looked + bite.upto;
    bytes := bytes + bite.stored;
    if bite.at is not null then
      seen := bite.known + case when bite.at = at then seen else 0 end;
      at := bite.at;
    end if;
    if bite.looked < size and bite.upto = bite.looked then
      at := null;
    end if;
    exit when at is null or bite.upto < bite.looked or jsonb_array_length(lines) >= most or looked >= most_looked or bytes >= most_bytes
      or clock_timestamp() > begun + interval '1 second';
    size := least(size * 8, case when unpacks then 1000 else most_looked end, most_looked - looked);
  end loop;
  return jsonb_build_object('messages', lines, 'looked_at', looked,
    'next', case when at is not null then format('%s/%s/%s', at, seen, queue_worker.rows_at(place.source, place.stamp, place.kind::regtype, at)) end);
exception when undefined_table then
  return '{"messages": [], "next": null, "looked_at": 0}'; -- it was dropped this moment
end $$;
comment on function queue_worker.message_page(text, jsonb) is
  'Messages of a queue: {state ready|in_flight|delayed|retrying|dead|archived, limit? (50, at most 200), after?, search?: {path, value}, text?, error?, '
  'reason?, since?, before?}; returns {messages: [{msg_id, enqueued_at, at, deliveries, failures, error, reason, worker_id, preview, bytes}], next, looked_at}. '
  'In the order in which they are or become visible; dead and archived ones the newest first. It looks at no more than 20,000, 8 MiB of payload shown, '
  'and a second: a page may be short and have a next one.';
