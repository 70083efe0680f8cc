-- queue-worker, 5: sending. Producers may as well call pgmq.send; this adds idempotency keys and origin keys.

create or replace function queue_worker.send_target(queue text, with_headers boolean) returns regclass
language plpgsql stable set search_path = '' as $$
declare
  target constant regclass := queue_worker.queue_table(queue_worker.check_queue_name(queue));
begin
  if target is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003',
      hint = 'Create it: select pgmq.create(''' || queue || ''');';
  end if;
  if with_headers and not queue_worker.has_column(target, 'headers') then
    raise exception 'queue-worker: this pgmq version has no message headers' using errcode = 'QW002',
      hint = 'Put the values into the message, or upgrade pgmq to 1.5 or newer.';
  end if;
  return target;
end $$;
comment on function queue_worker.send_target(text, boolean) is
  'The table to send into. Raises QW002 for a bad name or headers that pgmq does not have, QW003 for a missing queue.';

create or replace function queue_worker.keeps_headers(queue text, headers jsonb) returns boolean
language sql stable set search_path = '' as $$
  select case
    when headers is null or jsonb_typeof(headers) = 'null' then false
    when jsonb_typeof(headers) <> 'object' or headers - '{traceparent,tracestate}'::text[] <> '{}' then true
    else queue_worker.has_column(queue_worker.queue_table(queue), 'headers')
  end
$$;
comment on function queue_worker.keeps_headers(text, jsonb) is
  'Whether these headers are to be stored. Not without headers, and not where a pgmq without them is given a trace context alone: '
  'nobody asked for that one by name, so it is left out rather than refused.';

create or replace function queue_worker.send_one(
  queue text, message jsonb, headers jsonb default null, visible_at timestamptz default null,
  idempotency_key text default null, origin_key text default null)
returns table (msg_id bigint, duplicate boolean)
language plpgsql set search_path = '' as $$
declare
  with_headers constant boolean := headers is not null and queue_worker.keeps_headers(queue, headers);
  target constant regclass := queue_worker.send_target(queue, with_headers);
  sent_at timestamptz;
begin
  if idempotency_key is not null then
    insert into queue_worker.sent_keys as k (queue, idempotency_key)
    values (send_one.queue, send_one.idempotency_key) on conflict do nothing;
    if not found then
      return query select k.msg_id, true from queue_worker.sent_keys k
        where k.queue = send_one.queue and k.idempotency_key = send_one.idempotency_key;
      return;
    end if;
  end if;
  execute format('insert into %s (vt, message %s) values ($1, $2 %s) returning msg_id, enqueued_at', target,
    case when with_headers then ', headers' else '' end, case when with_headers then ', $3' else '' end)
    into send_one.msg_id, sent_at using coalesce(visible_at, clock_timestamp()), message, headers;
  if idempotency_key is not null then
    update queue_worker.sent_keys k set msg_id = send_one.msg_id
    where k.queue = send_one.queue and k.idempotency_key = send_one.idempotency_key;
  end if;
  if origin_key is not null then
    insert into queue_worker.origins (queue, msg_id, enqueued_at, origin_key)
    values (send_one.queue, send_one.msg_id, sent_at, send_one.origin_key);
  end if;
  duplicate := false;
  return next;
end $$;
comment on function queue_worker.send_one(text, jsonb, jsonb, timestamptz, text, text) is
  'Sends one message and returns its id; with an idempotency key that was used before on this queue, the first one''s. '
  'Errors: see send_target.';

create or replace function queue_worker.visible_at(request jsonb) returns timestamptz
language plpgsql volatile set search_path = '' as $$
declare
  at constant timestamptz := coalesce((request ->> 'at')::timestamptz,
    clock_timestamp() + make_interval(secs => coalesce((request ->> 'delay_seconds')::float8, 0)));
begin
  if not isfinite(at) then
    raise exception 'queue-worker: a message cannot become visible at %', at using errcode = 'QW002',
      hint = 'Give "at" as a time, or "delay_seconds".';
  end if;
  return at;
end $$;
comment on function queue_worker.visible_at(jsonb) is
  'When a message that is being sent is to become visible: {at? | delay_seconds?}. Raises QW002 for infinite times.';

create or replace function queue_worker.send_from(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  sent record;
begin
  if request ? 'unsendable' then -- the caller's JSON library made something that jsonb cannot hold
    raise exception 'queue-worker: %', request ->> 'unsendable' using errcode = 'QW002';
  elsif not request ? 'message' then
    raise exception 'queue-worker: a send needs a message' using errcode = 'QW002';
  end if;
  select * into sent from queue_worker.send_one(request ->> 'queue', request -> 'message', nullif(request -> 'headers', 'null'),
    queue_worker.visible_at(request), request ->> 'idempotency_key', request ->> 'origin_key');
  return jsonb_build_object('msg_id', sent.msg_id::text, 'duplicate', sent.duplicate);
end $$;
comment on function queue_worker.send_from(jsonb) is
  'Sends {queue, message, headers?, delay_seconds? or at?, idempotency_key?, origin_key?}. Errors: see send_one. '
  '{unsendable: why} raises QW002: so a settle that carries such a send is rejected, and none beside it.';

create or replace function queue_worker.send_many(queue text, items jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  with_headers constant boolean := exists (
    select 1 from jsonb_array_elements(items) i
    where jsonb_typeof(i.value -> 'headers') <> 'null' and queue_worker.keeps_headers(queue, i.value -> 'headers'));
  sent jsonb;
begin
  execute format($q$
    with sent as (
      insert into %s (vt, message %s)
      select queue_worker.visible_at(i.value), i.value -> 'message' %s
      from jsonb_array_elements($1) with ordinality i order by i.ordinality
      returning msg_id)
    select jsonb_agg(jsonb_build_object('idx', i.value -> 'idx', 'msg_id', s.msg_id::text, 'duplicate', false))
    from (select x.msg_id, row_number() over (order by x.msg_id) as place from sent x) s
    join jsonb_array_elements($1) with ordinality i on i.ordinality = s.place
    $q$, queue_worker.send_target(queue, with_headers), case when with_headers then ', headers' else '' end,
    case when with_headers then $h$, nullif(i.value -> 'headers', 'null')$h$ else '' end) into sent using items;
  return sent;
end $$;
comment on function queue_worker.send_many(text, jsonb) is
  'Sends messages without keys to one queue in one statement, in order; returns [{idx, msg_id, duplicate}].';

create or replace function queue_worker.send(sends jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  batch record;
  results jsonb := '[]';
begin
  if jsonb_array_length(sends) < 4 or exists (
    select 1 from jsonb_array_elements(sends) s
    where s.value ->> 'idempotency_key' is not null or s.value ->> 'origin_key' is not null or not s.value ? 'message') then
    return (select coalesce(jsonb_agg(queue_worker.send_from(s.value) order by s.ordinality), '[]')
      from jsonb_array_elements(sends) with ordinality s);
  end if;
  for batch in
    select s.value ->> 'queue' as queue, to_jsonb(array_agg(s.value || jsonb_build_object('idx', s.ordinality) order by s.ordinality)) as items
    from jsonb_array_elements(sends) with ordinality s group by 1 order by 1
  loop
    results := results || queue_worker.send_many(batch.queue, batch.items);
  end loop;
  return (select jsonb_agg(r.value - 'idx' order by (r.value ->> 'idx')::int) from jsonb_array_elements(results) r);
end $$;
comment on function queue_worker.send(jsonb) is 'Sends many messages, all or none, in order; returns [{msg_id, duplicate}].';
