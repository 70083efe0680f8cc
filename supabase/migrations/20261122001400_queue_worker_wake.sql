-- queue-worker, 14: waking a worker that sleeps, by requests of the extension pg_net. Nothing of it happens before somebody calls wake_by.

create table if not exists queue_worker.wakers (
  queue text primary key,
  url text not null,
  headers jsonb not null,
  called_at timestamptz not null default '-infinity'
);
comment on table queue_worker.wakers is 'Whom an insert into a queue wakes, and when it did so last.';

-- When the transaction commits, not when it inserts: who is woken must find the message, and must not have fallen asleep again by then.
-- So it is a deferred trigger, and therefore one for each row; all but the first of a transaction cost next to nothing.
create or replace function queue_worker.call_waker() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  name constant text := tg_argv[0];
  called constant text := coalesce(current_setting('queue_worker.called', true), '');
  young constant interval := '5 seconds'; -- shorter than any worker stays awake
  patience constant text := current_setting('lock_timeout');
  waker record;
  is_first boolean;
begin
  if position(' ' || name || ' ' in called) > 0 then
    return null;
  end if;
  perform set_config('queue_worker.called', called || ' ' || name || ' ', true);
  select * into waker from queue_worker.wakers w where w.queue = name;
  if waker.called_at > clock_timestamp() - young then
    return null;
  end if;
  begin
    -- Of those that commit at once, the others wait for the first, and call themselves if it does not commit after all.
    perform set_config('lock_timeout', '5s', true);
    update queue_worker.wakers w set called_at = clock_timestamp()
    where w.queue = name and w.called_at <= clock_timestamp() - young;
    is_first := found;
    perform set_config('lock_timeout', patience, true);
    if not is_first then
      return null;
    end if;
  exception
    when lock_not_available or serialization_failure or deadlock_detected then null; -- one call too many is none too few
  end;
  execute 'select net.http_post(url => $1, headers => $2, timeout_milliseconds => 10000)' using waker.url, waker.headers;
  return null;
exception when others then
  -- Nobody's message may fail because nobody can be woken.
  raise warning 'queue-worker: the worker of queue "%" could not be woken: % (%)', name, sqlerrm, sqlstate;
  return null;
end $$;
comment on function queue_worker.call_waker() is
  'The trigger that wakes a sleeping worker: asks for its address when a transaction that inserted commits, at most once in 5 seconds. Never fails.';

create or replace function queue_worker.wake_by(url text, queues text[] default null, token text default null) returns text[]
language plpgsql set search_path = '' as $$
declare
  name text;
  target regclass;
  woken text[] := '{}';
begin
  if to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is null then
    raise exception 'queue-worker: the extension pg_net is not here, so the database cannot wake anybody' using errcode = 'QW002',
      hint = 'Turn it on (Supabase: Database > Extensions; elsewhere: create extension pg_net), or let producers wake the worker: docs/sleep.md.';
  elsif url is null or url !~* '^https?://[^/[:space:]]+(/[^[:space:]]*)?$' then
    raise exception 'queue-worker: the address to wake a worker at is none' using errcode = 'QW002',
      hint = 'Give the whole address: select queue_worker.wake_by(''https://worker.example.com/wake'');';
  end if;
  for name in select distinct u.queue from unnest(coalesce(queues, array(select q.queue from queue_worker.queues q))) u(queue) order by 1 loop
    target := queue_worker.queue_table(queue_worker.check_queue_name(name));
    if target is null and queues is null then
      continue; -- known from before it was dropped
    elsif target is null then
      raise exception 'queue-worker: there is no queue "%"', name using errcode = 'QW003',
        hint = 'Create it: select pgmq.create(''' || name || ''');';
    end if;
    insert into queue_worker.wakers as w (queue, url, headers)
    values (name, wake_by.url, case when token is null then '{}' else jsonb_build_object('Authorization', 'Bearer ' || token) end)
    on conflict on constraint wakers_pkey do update set url = excluded.url, headers = excluded.headers;
    if not exists (select 1 from pg_catalog.pg_trigger t where t.tgrelid = target and t.tgname = 'queue_worker_wake') then
      execute format('create constraint trigger queue_worker_wake after insert on %s deferrable initially deferred
        for each row execute function queue_worker.call_waker(%L)', target, name);
    end if;
    woken := woken || name;
  end loop;
  return woken;
end $$;
comment on function queue_worker.wake_by(text, text[], text) is
  'For you to call: from now on inserts into these queues (all that workers have served, if left out) wake the worker at this address, through pg_net. '
  'token: its WORKER_WAKE_TOKEN. Again with another address, that one. Returns the queues. Raises QW002 where pg_net is missing.';

create or replace function queue_worker.wake_by_nobody(queues text[] default null) returns text[]
language plpgsql set search_path = '' as $$
declare
  name text;
  freed text[] := '{}';
begin
  for name in select w.queue from queue_worker.wakers w where queues is null or w.queue = any (queues) order by 1 loop
    if queue_worker.queue_table(name) is not null then
      execute format('drop trigger if exists queue_worker_wake on %s', queue_worker.queue_table(name));
    end if;
    delete from queue_worker.wakers w where w.queue = name;
    freed := freed || name;
  end loop;
  return freed;
end $$;
comment on function queue_worker.wake_by_nobody(text[]) is 'Takes back what wake_by did, for these queues or all. Returns the queues.';
