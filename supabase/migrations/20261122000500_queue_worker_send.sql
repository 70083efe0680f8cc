-- queue-worker, 5: sending. Producers may as well call pgmq.send; this adds idempotency keys and origin keys.

create or replace function queue_worker.send_one(
  queue text, message jsonb, headers jsonb default null, visible_at timestamptz default null,
  idempotency_key text default null, origin_key text default null)
returns table (msg_id bigint, duplicate boolean)
language plpgsql set search_path = '' as $$
declare
  target constant regclass := queue_worker.queue_table(queue_worker.check_queue_name(queue));
  sent_at timestamptz;
begin
  if target is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003',
      hint = 'Create it: select pgmq.create(''' || queue || ''');';
  end if;
  if headers is not null and not queue_worker.has_column(target, 'headers') then
    raise exception 'queue-worker: this pgmq version has no message headers' using errcode = 'QW002',
      hint = 'Put the values into the message, or upgrade pgmq to 1.5 or newer.';
  end if;
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
    case when headers is null then '' else ', headers' end, case when headers is null then '' else ', $3' end)
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
  'Raises QW002 for a bad name or headers that pgmq does not have, QW003 for a missing queue.';

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
    coalesce((request ->> 'at')::timestamptz,
      clock_timestamp() + make_interval(secs => (request ->> 'delay_seconds')::float8)),
    request ->> 'idempotency_key', request ->> 'origin_key');
  return jsonb_build_object('msg_id', sent.msg_id::text, 'duplicate', sent.duplicate);
end $$;
comment on function queue_worker.send_from(jsonb) is
  'Sends {queue, message, headers?, delay_seconds? or at?, idempotency_key?, origin_key?}. Errors: see send_one. '
  '{unsendable: why} raises QW002: so a settle that carries such a send is rejected, and none beside it.';

create or replace function queue_worker.send(sends jsonb) returns jsonb
language sql set search_path = '' as $$
  select coalesce(jsonb_agg(queue_worker.send_from(s.value) order by s.ordinality), '[]')
  from (select * from jsonb_array_elements(sends) with ordinality) s
$$;
comment on function queue_worker.send(jsonb) is 'Sends many messages, all or none, in order; returns [{msg_id, duplicate}].';
