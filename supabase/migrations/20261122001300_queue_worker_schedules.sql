-- queue-worker, 13: schedules: what is sent at which times. Rows that anybody who may write SQL can add and change at any time.

create or replace function queue_worker.clock() returns timestamptz
language sql volatile set search_path = '' as 'select clock_timestamp()';
comment on function queue_worker.clock() is
  'What time it is for schedules: the database''s clock, never a worker''s. A function of its own, so that tests can move it.';

create table if not exists queue_worker.schedules (
  name text primary key check (name ~ '^[A-Za-z0-9_.:-]{1,100}$'),
  cron text not null check (length(cron) <= 200),
  timezone text not null default 'UTC' check (length(timezone) between 1 and 100),
  queue text not null check (queue ~ '^[a-z0-9_-]{1,43}$'),
  message jsonb not null,
  headers jsonb check (jsonb_typeof(headers) = 'object'),
  enabled boolean not null default true,
  missed text not null default 'one' check (missed in ('skip', 'one', 'all')),
  created_at timestamptz not null default queue_worker.clock(),
  changed_at timestamptz not null default queue_worker.clock(),
  -- The rest is the schedulers' book-keeping.
  revision uuid not null default gen_random_uuid(), -- another one after each change
  ran_until timestamptz not null default queue_worker.clock() check (isfinite(ran_until)), -- runs up to here are dealt with, or never were to be
  next_run_at timestamptz, -- null: a scheduler has to look at it; infinity: there is none
  last_error text
) with (fillfactor = 50);
comment on table queue_worker.schedules is
  'What is sent to a queue again and again: cron expression, time zone, message, and what becomes of runs that were missed (skip, one, all). '
  'Insert, update and delete as you like, but for the columns from revision on: those are the schedulers''.';

create table if not exists queue_worker.ticks (
  schedule text not null references queue_worker.schedules (name) on update cascade on delete cascade,
  run_at timestamptz not null,
  queue text not null,
  msg_id bigint not null,
  sent_at timestamptz not null default now(), -- as pgmq's enqueued_at: with queue and msg_id the identity of the message
  primary key (schedule, run_at)
);
comment on table queue_worker.ticks is
  'Runs of schedules that were sent: one row for each time, made in the transaction that sent the message. Kept for 30 days.';

-- However a row is written: from then on it counts, and nothing is made up for the time before.
create or replace function queue_worker.schedule_changed() returns trigger
language plpgsql set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and (new.name, new.cron, new.timezone, new.queue, new.message, new.headers, new.enabled, new.missed)
    is not distinct from (old.name, old.cron, old.timezone, old.queue, old.message, old.headers, old.enabled, old.missed) then
    return new;
  end if;
  new.revision := gen_random_uuid();
  new.changed_at := queue_worker.clock();
  new.next_run_at := null;
  new.last_error := null;
  if tg_op = 'INSERT' or (new.cron, new.timezone, new.enabled) is distinct from (old.cron, old.timezone, old.enabled) then
    new.ran_until := new.changed_at;
  end if;
  return new;
end $$;
comment on function queue_worker.schedule_changed() is
  'A schedule that is added, resumed, or given other times begins at that moment: runs before it are neither sent nor missed. '
  'Setting what is set already changes nothing.';

create or replace trigger queue_worker_schedule_changed
  before insert or update of name, cron, timezone, queue, message, headers, enabled, missed on queue_worker.schedules
  for each row execute function queue_worker.schedule_changed();

create or replace function queue_worker.schedule_put(request jsonb) returns text
language plpgsql set search_path = '' as $$
declare
  before constant uuid := (select s.revision from queue_worker.schedules s where s.name = request ->> 'name');
  given_headers constant jsonb := nullif(request -> 'headers', 'null');
  after uuid;
begin
  perform queue_worker.send_target(request ->> 'queue', given_headers is not null);
  insert into queue_worker.schedules as s (name, cron, timezone, queue, message, headers, enabled, missed)
  values (request ->> 'name', request ->> 'cron', coalesce(request ->> 'timezone', 'UTC'), request ->> 'queue', request -> 'message',
    given_headers, coalesce((request ->> 'enabled')::boolean, true), coalesce(request ->> 'missed', 'one'))
  on conflict (name) do update set cron = excluded.cron, timezone = excluded.timezone, queue = excluded.queue,
    message = excluded.message, headers = excluded.headers, missed = excluded.missed,
    -- Who says nothing of it does not resume what somebody has paused.
    enabled = case when request ->> 'enabled' is null then s.enabled else excluded.enabled end
  returning s.revision into after;
  return case when before is null then 'added' when before = after then 'unchanged' else 'changed' end;
end $$;
comment on function queue_worker.schedule_put(jsonb) is
  'Adds a schedule, or gives the one of that name all that is given: {name, cron, timezone?, queue, message, headers?, enabled?, missed?}. '
  'Returns added, changed or unchanged. Cron and time zone are looked at by the scheduler. Raises QW003 when there is no such queue.';

create or replace function queue_worker.schedule_remove(name text) returns boolean
language plpgsql set search_path = '' as $$
begin
  delete from queue_worker.schedules s where s.name = schedule_remove.name;
  return found;
end $$;
comment on function queue_worker.schedule_remove(text) is
  'Removes a schedule and its ticks; messages that it sent stay. false: there is none of that name.';

create or replace function queue_worker.schedule_enable(name text, enabled boolean) returns boolean
language plpgsql set search_path = '' as $$
begin
  update queue_worker.schedules s set enabled = schedule_enable.enabled where s.name = schedule_enable.name;
  return found;
end $$;
comment on function queue_worker.schedule_enable(text, boolean) is
  'Pauses or resumes a schedule; runs of the pause are not made up for. false: there is none of that name.';

create or replace function queue_worker.message_state(queue text, msg_id bigint, enqueued_at timestamptz) returns text
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  archive constant regclass := queue_worker.archive_table(queue);
  ended constant text := (select o.outcome from queue_worker.outcomes o
    where o.queue = $1 and o.msg_id = $2 and o.enqueued_at = $3 order by o.delivery desc limit 1);
  state text;
begin
  if ended = 'dead' then
    return 'dead letter';
  end if;
  if source is not null then
    execute format($q$
      select case when m.vt <= clock_timestamp() or m.read_ct = 0 then 'waiting'
        when exists (select 1 from queue_worker.outcomes o
          where o.queue = $1 and o.msg_id = $2 and o.enqueued_at = $3 and o.delivery = m.read_ct) then 'waiting' else 'in flight' end
      from %s m where m.msg_id = $2 and m.enqueued_at = $3 $q$, source) into state using queue, msg_id, enqueued_at;
  end if;
  if state is null and archive is not null then
    execute format('select ''archived'' from %s a where a.msg_id = $1 and a.enqueued_at = $2', archive)
      into state using msg_id, enqueued_at;
  end if;
  return case when state = 'waiting' and ended = 'retry' then 'waiting after a failure' else coalesce(state, 'gone') end;
end $$;
comment on function queue_worker.message_state(text, bigint, timestamptz) is
  'What became of a message: waiting, waiting after a failure, in flight, archived, dead letter (also when it was redriven since), or gone: '
  'deleted, by a success or by hand.';

create or replace function queue_worker.schedule_list() returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_build_object('now', queue_worker.clock(), 'schedules', coalesce((
    select to_jsonb(array_agg(jsonb_build_object('name', s.name, 'cron', s.cron, 'timezone', s.timezone, 'queue', s.queue,
      'message', s.message, 'headers', s.headers, 'enabled', s.enabled, 'missed', s.missed, 'created_at', s.created_at,
      'changed_at', s.changed_at, 'ran_until', s.ran_until, 'last_error', s.last_error, 'last_tick', t.tick) order by s.name))
    from queue_worker.schedules s left join lateral (
      select jsonb_build_object('run_at', x.run_at, 'msg_id', x.msg_id::text, 'sent_at', x.sent_at,
        'state', queue_worker.message_state(x.queue, x.msg_id, x.sent_at)) as tick
      from queue_worker.ticks x where x.schedule = s.name order by x.run_at desc limit 1) t on true), '[]'))
$$;
comment on function queue_worker.schedule_list() is
  'All schedules by name, each with its last tick and what became of that message, and the time: {now, schedules}.';
