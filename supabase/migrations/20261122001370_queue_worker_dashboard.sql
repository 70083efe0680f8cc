-- queue-worker, 13: the entry points of a dashboard: what it shows, and actions, each of which commits together with its row in the audit.

create or replace function queue_worker.write_down(who text, action text, queue text, target jsonb, did jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  ids constant bigint[] := coalesce(queue_worker.bigints(did -> 'ids'), '{}');
  written record;
begin
  if coalesce(length(who), 0) not between 1 and 200 then
    raise exception 'queue-worker: who does this?' using errcode = 'QW002', hint = 'Give "by" 1 to 200 characters, for example "ann@example.com".';
  end if;
  insert into queue_worker.audit as a (by, action, queue, target, ids, count, kept)
  values (who, action, coalesce(did ->> 'queue', queue), target, ids, coalesce((did ->> 'count')::int, cardinality(ids)), nullif(did -> 'kept', 'null'))
  returning a.id, a.count into written;
  return jsonb_build_object('audit_id', written.id::text, 'count', written.count, 'last_id', did -> 'last_id',
    'msg_ids', (select coalesce(jsonb_agg(i::text order by i), '[]') from unnest(ids[1 : 1000]) i));
end $$;
comment on function queue_worker.write_down(text, text, text, jsonb, jsonb) is
  'Writes an action and what came of it to the audit; returns {audit_id, count, last_id, msg_ids}. Raises QW002 when nobody says who did it.';

-- The entry points that were there before there was an audit: with "by" they are in it.
create or replace function queue_worker.noted(command text, request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  who constant text := request ->> 'by';
  queue constant text := request ->> 'queue';
  target constant jsonb := jsonb_strip_nulls(request - '{protocol,by,queue,paused}'::text[]);
  did jsonb;
begin
  case command
    when 'set_paused' then
      did := queue_worker.act_pause(queue, (request ->> 'paused')::boolean);
      perform queue_worker.write_down(who, case when (request ->> 'paused')::boolean then 'pause' else 'resume' end, queue, target, did);
      return '""';
    when 'set_rate_limit' then
      perform queue_worker.set_rate_limit(queue, (request ->> 'max_messages')::float8, (request ->> 'period_seconds')::float8);
      perform queue_worker.write_down(who, 'limit', queue, target, '{"count": 1}');
      return '""';
    when 'redrive' then
      did := queue_worker.act_redrive(queue, request);
      perform queue_worker.write_down(who, 'redrive', queue, target, did);
      return (select coalesce(jsonb_agg(jsonb_build_object('dead_msg_id', k.value #>> '{letter,msg_id}', 'msg_id', k.value -> 'msg_id') order by k.ordinality), '[]')
        from jsonb_array_elements(nullif(did -> 'kept', 'null')) with ordinality k);
    when 'discard_dead_letters' then
      did := queue_worker.discard_dead_letters(queue, request, (request ->> 'limit')::int);
      perform queue_worker.write_down(who, 'discard', queue, target, jsonb_build_object('count', did -> 'discarded'));
      return did;
  end case;
end $$;
comment on function queue_worker.noted(text, jsonb) is
  'What set_paused, set_rate_limit, redrive and discard_dead_letters do for a request that says "by": the same, and it is in the audit. A discard is for good.';

create or replace function queue_worker.act(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  action constant text := request ->> 'action';
  who constant text := request ->> 'by';
  queue constant text := request ->> 'queue';
  given_ids constant bigint[] := queue_worker.bigints(request -> 'msg_ids');
  target jsonb := jsonb_strip_nulls(request - '{protocol,by,action,queue,send}'::text[]); -- and so no payload
  did jsonb;
begin
  if cardinality(given_ids) > 1000 then
    raise exception 'queue-worker: at most 1000 messages at a time' using errcode = 'QW002', hint = 'Give "msg_ids" in several requests.';
  end if;
  case action
    when 'pause' then did := queue_worker.act_pause(queue, true);
    when 'resume' then did := queue_worker.act_pause(queue, false);
    when 'retry_now' then did := queue_worker.act_retry(queue, given_ids, (request ->> 'limit')::int, (request ->> 'begun_with')::bigint);
    when 'redrive' then
      did := queue_worker.act_redrive(queue, request);
      if (request ->> 'forget_uncertain')::boolean then
        did := did - 'kept'; -- what was forgotten does not come back, so neither may its letter, as if nothing had happened
      end if;
    when 'discard' then did := queue_worker.act_discard(queue, request);
    when 'send' then
      did := queue_worker.act_send(queue, request -> 'send');
      target := jsonb_strip_nulls(jsonb_build_object('delay_seconds', request #> '{send,delay_seconds}', 'idempotency_key', request #> '{send,idempotency_key}'));
    when 'run_schedule' then did := queue_worker.act_schedule(request ->> 'name', null);
    when 'enable_schedule' then did := queue_worker.act_schedule(request ->> 'name', coalesce((request ->> 'enabled')::boolean, true));
    when 'undo' then
      did := queue_worker.undo((request ->> 'audit_id')::bigint, who);
      target := target || jsonb_build_object('action', did -> 'action');
    else
      raise exception 'queue-worker: "%" is no action', left(coalesce(action, 'null'), 40) using errcode = 'QW002',
        hint = 'Give "action": pause, resume, retry_now, redrive, discard, send, run_schedule, enable_schedule or undo.';
  end case;
  return queue_worker.write_down(who, action, queue, target, did);
end $$;
comment on function queue_worker.act(jsonb) is
  'Does {by, action}: pause, resume {queue}; retry_now {queue, msg_ids?, limit?, begun_with?}; redrive {queue, a choice of letters, limit?, forget_uncertain?, '
  'per_second?, delay_seconds?}; discard {queue, a choice or all: true, limit?}; send {queue, send: as in queue_worker_send}; run_schedule {name}; '
  'enable_schedule {name, enabled}; undo {audit_id}. Writes it to the audit and returns {audit_id, count, last_id, msg_ids}. Raises QW002 and QW003.';

create or replace function queue_worker.audit_rows(before bigint, queue text, max_rows int) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', a.id::text, 'at', a.at, 'by', a.by, 'action', a.action, 'queue', a.queue, 'target', a.target,
    'count', a.count, 'undone', case when a.undone_at is not null then jsonb_build_object('by', a.undone_by, 'at', a.undone_at) end,
    'can_undo', queue_worker.can_undo(a.row)) order by a.id desc), '[]')
  from (
    select x.*, x as row from queue_worker.audit x
    where (audit_rows.before is null or x.id < audit_rows.before) and (audit_rows.queue is null or x.queue = audit_rows.queue)
    order by x.id desc limit least(greatest(coalesce(max_rows, 50), 1), 200)) a
$$;
comment on function queue_worker.audit_rows(bigint, text, int) is
  'What was done, the newest first, at most max_rows (50, at most 200) before an id: [{id, at, by, action, queue, target, count, undone: {by, at}, can_undo}].';

do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('glance', $$queue_worker.glance(case when request ->> 'queues' is not null then queue_worker.list_in(request, 'queues') end)$$,
      'All that a dashboard shows first: {protocol, queues?: [name]}; all queues without. See queue_worker.glance.'),
    ('messages', $$queue_worker.message_page(request ->> 'queue', request)$$,
      'A page of messages in one state: {protocol, queue, state, limit?, after?, search?: {path, value}, text?, error?, reason?, since?, before?}. See '
      'queue_worker.message_page.'),
    ('history', $$queue_worker.past(request ->> 'queue', (request ->> 'since')::timestamptz, (request ->> 'until')::timestamptz, (request ->> 'step_seconds')::int)$$,
      'A queue''s past in steps: {protocol, queue, since, until, step_seconds?}. See queue_worker.past.'),
    ('error_groups', $$queue_worker.error_groups(request ->> 'queue', (request ->> 'since')::timestamptz, (request ->> 'until')::timestamptz)$$,
      'A queue''s errors by class: {protocol, queue, since, until}. See queue_worker.error_groups.'),
    ('act', $$queue_worker.act(request)$$,
      'What a person does: {protocol, by, action, …}, written to the audit. See queue_worker.act.'),
    ('audit', $$queue_worker.audit_rows((request ->> 'before')::bigint, request ->> 'queue', (request ->> 'limit')::int)$$,
      'What was done, the newest first: {protocol, before?, queue?, limit?}. See queue_worker.audit_rows.'),
    ('related', $$queue_worker.related(request ->> 'origin_key')$$,
      'What a message led to: {protocol, origin_key}. See queue_worker.related.')
  ) as e(name, expression, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, entry.expression, entry.purpose);
  end loop;
end $do$;
