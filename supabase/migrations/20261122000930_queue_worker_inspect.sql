-- queue-worker, 9: one message, for a person who asks what happened to it.

-- Where the message is now. Its place, when it was enqueued and how often it was delivered are its identity for all that follows.
create or replace function queue_worker.find_message(queue text, msg_id bigint,
  out place text, out enqueued_at timestamptz, out deliveries int, out at timestamptz, out message jsonb, out headers jsonb)
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  archive constant regclass := queue_worker.archive_table(queue);
begin
  if source is not null then
    execute format($q$select 'queue', m.enqueued_at, m.read_ct, m.vt, m.message, %s from %s m where m.msg_id = $1$q$,
      case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end, source)
    into place, enqueued_at, deliveries, at, message, headers using msg_id;
  end if;
  if place is null and archive is not null then
    execute format($q$select 'archive', m.enqueued_at, m.read_ct, m.archived_at, m.message, %s from %s m where m.msg_id = $1 order by m.archived_at desc limit 1$q$,
      case when queue_worker.has_column(archive, 'headers') then 'm.headers' else 'null::jsonb' end, archive)
    into place, enqueued_at, deliveries, at, message, headers using msg_id;
  end if;
end $$;
comment on function queue_worker.find_message(text, bigint) is
  'A message in its queue (at: when it is or was due) or archive (at: since when); place is null when it is in neither.';

-- By the index alone (hence offset 0): the planner would like to look through all letters for the newest.
create or replace function queue_worker.find_letter(queue text, origin_key text, original_id bigint, out dead_msg_id bigint, out letter jsonb)
language plpgsql stable set search_path = '' as $$
declare
  graveyard constant regclass := queue_worker.queue_table(queue_worker.dead_letter_queue(queue));
begin
  if graveyard is not null then
    execute format($q$
      select d.msg_id, d.message from (select x.msg_id, x.message from %s x where x.message -> 'dead_letter' ->> 'origin_key' = $1 offset 0) d
      where $2 is null or d.message -> 'dead_letter' ->> 'msg_id' = $2::text order by d.msg_id desc limit 1
      $q$, graveyard) into dead_msg_id, letter using origin_key, original_id;
  end if;
end $$;
comment on function queue_worker.find_letter(text, text, bigint) is
  'The dead letter of a message, by its origin key and, if given, the id it died with; nulls when there is none.';

create or replace function queue_worker.deliveries(queue text, msg_id bigint, enqueued_at timestamptz, newest int, ending text, ended_at timestamptz)
returns jsonb language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('delivery', d.delivery, 'outcome',
      coalesce(o.outcome, case when d.delivery = $4 then $5 else 'interrupted' end),
    'at', coalesce(o.recorded_at, case when d.delivery = $4 then $6 end), 'error', o.error, 'worker_id', coalesce(o.worker_id, i.worker_id),
    'alone_since', i.started_at) order by d.delivery), '[]')
  from generate_series(greatest(1, $4 - 999), $4) d(delivery)
  left join queue_worker.outcomes o on o.queue = $1 and o.msg_id = $2 and o.enqueued_at = $3 and o.delivery = d.delivery
  left join queue_worker.isolations i on i.queue = $1 and i.msg_id = $2 and i.enqueued_at = $3 and i.delivery = d.delivery
$$;
comment on function queue_worker.deliveries(text, bigint, timestamptz, int, text, timestamptz) is
  'The newest 1000 deliveries of a message and how each ended: [{delivery, outcome, at, error, worker_id, alone_since}]. ending: what became '
  'of the newest if no outcome of it is recorded; interrupted: it ended without one.';

create or replace function queue_worker.inspect(queue text, msg_id bigint) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  own text := queue;
  id bigint := msg_id;
  grave record;
  here record;
  enqueued timestamptz;
  newest int;
  key text;
  state text;
  ending text;
  redriven_as bigint;
begin
  if queue ~ '_dlq$' then -- a dead letter by its own id
    select f.message into grave from queue_worker.find_message(queue, msg_id) f where f.place = 'queue';
    if grave.message -> 'dead_letter' ->> 'queue' = left(queue, -4) and queue_worker.queue_table(left(queue, -4)) is not null then
      own := left(queue, -4);
      id := (grave.message -> 'dead_letter' ->> 'msg_id')::bigint;
      enqueued := (grave.message -> 'dead_letter' ->> 'enqueued_at')::timestamptz;
    end if;
  end if;
  if msg_id is null or queue is null then
    raise exception 'queue-worker: which message?' using errcode = 'QW002', hint = 'Give "queue" and "msg_id".';
  elsif queue_worker.queue_table(own) is null then
    raise exception 'queue-worker: there is no queue "%"', left(own, 80) using errcode = 'QW003', hint = 'select * from pgmq.list_queues();';
  end if;
  select * into here from queue_worker.find_message(own, id);
  if enqueued is not null and here.enqueued_at is distinct from enqueued then
    here.place := null; -- another message with that id: the queue was made anew
  end if;
  enqueued := coalesce(enqueued, here.enqueued_at, (select x.enqueued_at from (
    select o.enqueued_at from queue_worker.outcomes o where o.queue = own and o.msg_id = id
    union all select i.enqueued_at from queue_worker.isolations i where i.queue = own and i.msg_id = id) x order by 1 desc limit 1));
  if enqueued is null then
    return jsonb_build_object('queue', own, 'msg_id', id::text, 'state', 'unknown');
  end if;
  key := queue_worker.origin_key(own, id, enqueued);
  select * into grave from queue_worker.find_letter(own, key, id);
  newest := coalesce(case when here.place is not null then here.deliveries end, (select max(x.delivery) from (
    select o.delivery from queue_worker.outcomes o where o.queue = own and o.msg_id = id and o.enqueued_at = enqueued
    union all select i.delivery from queue_worker.isolations i where i.queue = own and i.msg_id = id and i.enqueued_at = enqueued) x), 0);
  select o.outcome into ending from queue_worker.outcomes o
  where o.queue = own and o.msg_id = id and o.enqueued_at = enqueued and o.delivery = newest;
  if here.place is null and grave.dead_msg_id is null and ending = 'dead' then
    select max(o.msg_id) into redriven_as from queue_worker.origins o where o.origin_key = key and o.queue = own and o.enqueued_at > enqueued;
  end if;
  state := case
    when here.place = 'archive' then 'archived'
    when here.place = 'queue' and here.at <= clock_timestamp() then 'ready'
    when here.place = 'queue' and newest > 0 and ending is null then 'in_flight'
    when here.place = 'queue' and ending = 'retry' then 'retrying'
    when here.place = 'queue' then 'delayed'
    when grave.dead_msg_id is not null then 'dead'
    when redriven_as is not null then 'redriven'
    else 'gone' end;
  return jsonb_build_object('queue', own, 'msg_id', id::text, 'state', state, 'origin_key', key, 'enqueued_at', enqueued,
    'visible_at', case when here.place = 'queue' then here.at end, 'archived_at', case when here.place = 'archive' then here.at end,
    'message', case when here.place is null then grave.letter -> 'message' else here.message end,
    'headers', case when here.place is null then grave.letter -> 'headers' else here.headers end,
    'dead_msg_id', case when state = 'dead' then grave.dead_msg_id::text end,
    'dead_letter', case when state = 'dead' then grave.letter -> 'dead_letter' end,
    'redriven_as', redriven_as::text,
    'sent_with_key', (select k.idempotency_key from queue_worker.sent_keys k where k.queue = own and k.msg_id = id order by k.sent_at desc limit 1),
    'failures', (select h.failures from queue_worker.history(own, id, enqueued, newest + 1) h),
    'deliveries', queue_worker.deliveries(own, id, enqueued, newest,
      case state when 'archived' then 'archive' when 'in_flight' then 'in_flight' when 'ready' then 'interrupted' else 'unknown' end,
      case when state = 'archived' then here.at end),
    'steps', (select coalesce(jsonb_agg(jsonb_build_object('step', l.step, 'state', l.state, 'result', l.result, 'started_by', l.started_by,
      'started_at', l.started_at, 'done_at', l.done_at) order by l.started_at), '[]') from queue_worker.ledger l where l.origin_key = key));
end $$;
comment on function queue_worker.inspect(text, bigint) is
  'All that is known of a message, by its id in its queue, or by the id of its letter in <queue>_dlq: {queue, msg_id, state ready|in_flight|'
  'delayed|retrying|archived|dead|redriven|gone|unknown, origin_key, enqueued_at, visible_at, archived_at, message, headers, dead_msg_id, dead_letter, '
  'redriven_as, sent_with_key, failures, deliveries, steps}. Only the first three when nothing is known. Raises QW003.';
