-- queue-worker, 13: what a person does from a dashboard. Each action answers what it did and what an undo of it needs: {count, ids, last_id?, kept?}.

create or replace function queue_worker.act_pause(queue text, paused boolean) returns jsonb
language plpgsql set search_path = '' as $$
declare
  was_paused boolean := false;
  was_open boolean := false;
begin
  select q.paused, q.breaker_until is not null into was_paused, was_open from queue_worker.queues q where q.queue = act_pause.queue for update;
  perform queue_worker.set_paused(queue, paused);
  if coalesce(was_paused, false) <> paused then
    return jsonb_build_object('count', 1, 'kept', jsonb_build_object('set', paused));
  end if;
  return jsonb_build_object('count', case when not paused and was_open then 1 else 0 end);
end $$;
comment on function queue_worker.act_pause(text, boolean) is
  'Pauses or resumes a queue (see set_paused); count 0: it was so already.';

-- Nothing that is in flight: its delivery has no outcome. Rows are locked first and outcomes looked up in a later statement, as settle does; what
-- another call holds is passed over.
create or replace function queue_worker.make_due(queue text, msg_ids bigint[], failed_before timestamptz default null) returns bigint[]
language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  held bigint[];
  done bigint[];
begin
  execute format('select array_agg(l.msg_id) from (select m.msg_id from %s m where m.msg_id = any ($1) order by m.msg_id for update skip locked) l', source)
    into held using msg_ids;
  execute format($q$
    with due as (
      update %s m set vt = clock_timestamp() where m.msg_id = any ($1) and m.vt > clock_timestamp() and (m.read_ct = 0 or exists (
        select 1 from queue_worker.outcomes o where o.queue = $2 and o.msg_id = m.msg_id and o.enqueued_at = m.enqueued_at and o.delivery = m.read_ct and ($3 is null or o.recorded_at < $3)))
      returning m.msg_id)
    select coalesce(array_agg(d.msg_id order by d.msg_id), '{}') from due d
    $q$, source) into done using held, queue, failed_before;
  if done <> '{}' and exists (select 1 from pg_catalog.pg_trigger t where t.tgrelid = source and t.tgname = 'queue_worker_notify') then
    perform pg_catalog.pg_notify('queue_worker', queue);
  end if;
  return done;
end $$;
comment on function queue_worker.make_due(text, bigint[], timestamptz) is
  'Makes those of these messages due that are delayed, snoozed or wait out their backoff (and failed before a time, if one is given), wakes listening workers, and returns their ids.';

-- What is done in bites begins each at the soonest due: what an earlier bite made due, and failed again since, is none of its business.
create or replace function queue_worker.act_retry(queue text, msg_ids bigint[], max_messages int, begun_with bigint) returns jsonb
language plpgsql set search_path = '' as $$
declare
  most constant int := least(greatest(coalesce(max_messages, 100), 1), 1000);
  begun constant timestamptz := clock_timestamp();
  failed_before constant timestamptz := coalesce((select a.at from queue_worker.audit a where a.id = begun_with), begun);
  done bigint[] := '{}';
  page jsonb := '{"next": null}';
begin
  perform queue_worker.send_target(queue, false);
  if msg_ids is not null then
    return jsonb_build_object('ids', queue_worker.make_due(queue, msg_ids[1 : 1000]));
  end if;
  loop
    page := queue_worker.message_page(queue, jsonb_build_object('state', 'retrying', 'limit', least(200, most - cardinality(done)), 'after', page -> 'next'));
    done := done || queue_worker.make_due(queue, array(select (m.value ->> 'msg_id')::bigint from jsonb_array_elements(page -> 'messages') m), failed_before);
    exit when page ->> 'next' is null or cardinality(done) >= most or clock_timestamp() > begun + interval '2 seconds';
  end loop;
  return jsonb_build_object('ids', done, 'last_id', case when page ->> 'next' is not null then done[cardinality(done)]::text end);
end $$;
comment on function queue_worker.act_retry(text, bigint[], int, bigint) is
  'make_due for these messages, or without ids for those that wait out a backoff, the soonest due first, at most max_messages (100, at most 1000), and '
  'none that has failed since begun_with, the row of the audit that the first bite of the same action has; '
  'last_id null: no others are left. Raises QW003 when there is no such queue.';

create or replace function queue_worker.act_redrive(queue text, filter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  most constant int := queue_worker.most_letters((filter ->> 'limit')::int);
  ids constant bigint[] := queue_worker.letter_ids(queue, filter, most, true, true);
  letters jsonb;
  sent jsonb;
  kept jsonb;
begin
  execute format($q$
    select jsonb_object_agg(d.msg_id, jsonb_build_object('msg_id', d.msg_id, 'read_ct', d.read_ct, 'enqueued_at', d.enqueued_at, 'vt', d.vt,
      'dead_letter', d.message -> 'dead_letter')) from %s d where d.msg_id = any ($1)
    $q$, queue_worker.dead_letter_table(queue)) into letters using ids;
  sent := queue_worker.redrive(queue, jsonb_build_object('msg_ids', ids), most, coalesce((filter ->> 'forget_uncertain')::boolean, false),
    (filter ->> 'per_second')::float8, (filter ->> 'delay_seconds')::float8);
  select jsonb_agg(jsonb_build_object('msg_id', s.value -> 'msg_id', 'letter', letters -> (s.value ->> 'dead_msg_id')) order by s.ordinality)
  into kept from jsonb_array_elements(sent) with ordinality s;
  return jsonb_build_object('ids', (select jsonb_agg(s.value -> 'msg_id' order by s.ordinality) from jsonb_array_elements(sent) with ordinality s),
    'last_id', case when cardinality(ids) = most then ids[most]::text end, 'kept', kept);
end $$;
comment on function queue_worker.act_redrive(text, jsonb) is
  'Sends dead letters back (see redrive), and keeps of each what is not in its message. last_id: the after_id to go on from.';

create or replace function queue_worker.act_discard(queue text, filter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  most constant int := queue_worker.most_letters((filter ->> 'limit')::int);
  graveyard constant text := queue_worker.dead_letter_queue(queue);
  ids bigint[];
begin
  perform queue_worker.check_discard(filter);
  ids := queue_worker.letter_ids(queue, filter, most, true, false);
  if queue_worker.archive_table(graveyard) is null then
    raise exception 'queue-worker: the dead letters of "%" have no archive to be moved to', queue using errcode = 'QW003',
      hint = 'For good, they are discarded by: npx queue-worker dead-letters discard ' || queue;
  end if;
  execute format($q$
    with gone as (delete from %1$s m where m.msg_id = any ($1) returning %3$s) insert into %2$s (%3$s) select %3$s from gone
    $q$, queue_worker.queue_table(graveyard), queue_worker.archive_table(graveyard), queue_worker.archive_columns(graveyard)) using ids;
  return jsonb_build_object('ids', ids, 'last_id', case when cardinality(ids) = most then ids[most]::text end, 'kept', '[]'::jsonb);
end $$;
comment on function queue_worker.act_discard(text, jsonb) is
  'Moves dead letters into the archive of the dead-letter queue: those that letter_ids chooses; without any choice only with {all: true}. '
  'last_id: the after_id to go on from. Raises QW002.';

create or replace function queue_worker.act_send(queue text, send jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  sent jsonb;
begin
  if send is null or (send ->> 'queue' is distinct from queue and not send ? 'unsendable') then
    raise exception 'queue-worker: what is to be sent, and where?' using errcode = 'QW002', hint = 'Give "queue" and "send": {"queue", "message"}.';
  end if;
  sent := queue_worker.send_from(send);
  return jsonb_build_object('ids', jsonb_build_array(sent -> 'msg_id'))
    || case when (sent ->> 'duplicate')::boolean then '{"count": 0}' else '{"kept": []}'::jsonb end;
end $$;
comment on function queue_worker.act_send(text, jsonb) is
  'Sends one message (see send_from); count 0: its idempotency key was used before, and ids names the first message.';

create or replace function queue_worker.act_schedule(name text, enabled boolean) returns jsonb
language plpgsql set search_path = '' as $$
declare
  found_as queue_worker.schedules;
  present constant timestamptz := queue_worker.clock();
begin
  select s.* into found_as from queue_worker.schedules s where s.name = act_schedule.name for update;
  if found_as.name is null then
    raise exception 'queue-worker: there is no schedule "%"', left(name, 100) using errcode = 'QW002', hint = 'select name from queue_worker.schedules;';
  elsif enabled is null then
    perform queue_worker.send_run(found_as, present);
    return jsonb_build_object('queue', found_as.queue, 'ids', (select jsonb_build_array(t.msg_id) from queue_worker.ticks t where t.schedule = found_as.name and t.run_at = present));
  end if;
  perform queue_worker.schedule_enable(name, enabled);
  return jsonb_build_object('queue', found_as.queue, 'count', (found_as.enabled <> enabled)::int)
    || case when found_as.enabled <> enabled then jsonb_build_object('kept', jsonb_build_object('set', enabled)) else '{}' end;
end $$;
comment on function queue_worker.act_schedule(text, boolean) is
  'Pauses or resumes a schedule, or with null sends its message now, as a tick beside its times. Raises QW002 when there is none of that name.';
