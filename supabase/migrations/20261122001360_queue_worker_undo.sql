-- queue-worker, 13: taking actions back, as far as nothing has come of them yet. An id may be given out again, when a queue is made anew; what was
-- enqueued by the time of the action is what it was about.

create or replace function queue_worker.undo_sent(queue text, done queue_worker.audit) returns bigint[]
language plpgsql set search_path = '' set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  source constant regclass := queue_worker.send_target(queue, false);
  headers constant text := case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end;
  gone text := format('delete from %s m where m.msg_id = any ($1) and m.enqueued_at <= $2 and m.read_ct = 0 returning m.msg_id, m.message, %s as headers', source, headers);
  ids bigint[];
begin
  if done.action = 'redrive' then
    execute format($q$
      with gone as (%s),
      back as (
        insert into %s (msg_id, read_ct, enqueued_at, vt, message) overriding system value
        select x.msg_id, x.read_ct, x.enqueued_at, x.vt, jsonb_build_object('message', g.message, 'headers', g.headers, 'dead_letter', x.dead_letter)
        from gone g join jsonb_array_elements($3) k on (k.value ->> 'msg_id')::bigint = g.msg_id
        cross join lateral jsonb_to_record(k.value -> 'letter') x(msg_id bigint, read_ct int, enqueued_at timestamptz, vt timestamptz, dead_letter jsonb))
      select array_agg(g.msg_id order by g.msg_id) from gone g
      $q$, gone, queue_worker.dead_letter_table(queue)) into ids using done.ids, done.at, done.kept;
  else
    execute format('with gone as (%s) select array_agg(g.msg_id) from gone g', gone) into ids using done.ids, done.at;
    delete from queue_worker.sent_keys k where k.queue = undo_sent.queue and k.msg_id = any (ids) and k.idempotency_key = done.target ->> 'idempotency_key';
  end if;
  delete from queue_worker.origins o where o.queue = undo_sent.queue and o.msg_id = any (ids) and o.enqueued_at <= done.at;
  return ids;
end $$;
comment on function queue_worker.undo_sent(text, queue_worker.audit) is
  'Takes messages that were sent or redriven out of their queue, those that nobody has read yet, and puts redriven ones back among the dead letters, '
  'under their old ids. Returns the ids that they had in the queue.';

create or replace function queue_worker.undo_discard(queue text, done queue_worker.audit) returns bigint[]
language plpgsql set search_path = '' set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  graveyard constant text := queue_worker.dead_letter_queue(queue);
  target constant regclass := queue_worker.dead_letter_table(queue);
  ids bigint[];
begin
  if queue_worker.archive_table(graveyard) is not null then
    execute format($q$
      with gone as (delete from %1$s m where m.msg_id = any ($1) and m.enqueued_at <= $2 returning %3$s),
      back as (insert into %2$s (%3$s) overriding system value select %3$s from gone returning msg_id)
      select array_agg(b.msg_id order by b.msg_id) from back b
      $q$, queue_worker.archive_table(graveyard), target, queue_worker.archive_columns(graveyard)) into ids using done.ids, done.at;
  end if;
  return ids;
end $$;
comment on function queue_worker.undo_discard(text, queue_worker.audit) is
  'Puts discarded dead letters back, under their ids, as far as they still are in the archive. Returns these ids.';

create or replace function queue_worker.undo_setting(done queue_worker.audit) returns boolean
language plpgsql set search_path = '' as $$
declare
  setting constant boolean := (done.kept ->> 'set')::boolean;
begin
  if done.action = 'enable_schedule' then
    update queue_worker.schedules s set enabled = not setting where s.name = done.target ->> 'name' and s.enabled = setting;
  else -- not set_paused: that would close a breaker
    update queue_worker.queues q set paused = not setting, changed_at = clock_timestamp() where q.queue = done.queue and q.paused = setting;
  end if;
  return found;
end $$;
comment on function queue_worker.undo_setting(queue_worker.audit) is
  'Takes back that a queue was paused or resumed, or a schedule; false: somebody has changed it since.';

create or replace function queue_worker.undo(audit_id bigint, who text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  done queue_worker.audit;
  ids bigint[];
  is_done boolean;
begin
  select a.* into done from queue_worker.audit a where a.id = audit_id for update;
  if done.id is null then
    raise exception 'queue-worker: there is no action % to undo', coalesce(audit_id::text, 'null') using errcode = 'QW002', hint = 'Actions are kept as long as other records.';
  elsif done.undone_at is not null then
    raise exception 'queue-worker: this was undone already, by % at %', done.undone_by, date_trunc('second', done.undone_at) using errcode = 'QW002',
      hint = 'Do it again if it is wanted after all.';
  elsif done.kept is null then
    raise exception 'queue-worker: % cannot be undone', done.action using errcode = 'QW002',
      hint = case when done.count = 0 then 'It changed nothing.' else 'Pause, resume, enable_schedule, discard, redrive and send can be.' end;
  end if;
  case
    when done.action in ('send', 'redrive') then ids := queue_worker.undo_sent(done.queue, done);
    when done.action = 'discard' then ids := queue_worker.undo_discard(done.queue, done);
    else is_done := queue_worker.undo_setting(done);
  end case;
  if not coalesce(is_done, cardinality(ids) > 0, false) then
    raise exception 'queue-worker: nothing of it is left to undo' using errcode = 'QW002', hint = case
      when done.action in ('send', 'redrive') then 'A worker has read all of these messages.'
      when done.action = 'discard' then 'The letters are not in the archive of the dead-letter queue any more.'
      else 'Somebody has changed it since.' end;
  end if;
  update queue_worker.audit a set undone_by = who, undone_at = clock_timestamp() where a.id = done.id;
  return jsonb_build_object('queue', done.queue, 'ids', coalesce(to_jsonb(ids), '[]'), 'action', done.action) || case when is_done then '{"count": 1}' else '{}'::jsonb end;
end $$;
comment on function queue_worker.undo(bigint, text) is
  'Takes back an action, or what can be taken back of it, once. Raises QW002 when that cannot be, or was done before.';

create or replace function queue_worker.can_undo(done queue_worker.audit) returns boolean
language plpgsql stable set search_path = '' set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  source constant regclass := case when done.action = 'discard' then queue_worker.archive_table(queue_worker.dead_letter_queue(done.queue))
    when done.action in ('send', 'redrive') then queue_worker.queue_table(done.queue) end;
  is_there boolean;
begin
  if done.undone_at is not null or done.kept is null then
    return false;
  elsif done.action = 'enable_schedule' then
    return exists (select 1 from queue_worker.schedules s where s.name = done.target ->> 'name' and s.enabled = (done.kept ->> 'set')::boolean);
  elsif done.action in ('pause', 'resume') then
    return exists (select 1 from queue_worker.queues q where q.queue = done.queue and q.paused = (done.kept ->> 'set')::boolean);
  elsif source is null or (done.action <> 'send' and queue_worker.queue_table(queue_worker.dead_letter_queue(done.queue)) is null) then
    return false;
  end if;
  execute format('select exists (select 1 from %s m where m.msg_id = any ($1) and m.enqueued_at <= $2 %s)', source,
    case when done.action = 'discard' then '' else 'and m.read_ct = 0' end) into is_there using done.ids, done.at;
  return is_there;
exception when undefined_table then
  return false; -- it was dropped this moment
end $$;
comment on function queue_worker.can_undo(queue_worker.audit) is 'Whether anything of an action can be taken back at this moment.';
