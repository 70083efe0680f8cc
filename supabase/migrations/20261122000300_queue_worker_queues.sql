-- queue-worker, 3: queues: create, look into, pause; drop those of stress tests.

create or replace function queue_worker.messages(queue text)
returns table (msg_id bigint, read_ct int, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb)
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
begin
  if source is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003';
  end if;
  return query execute format('select m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, %s from %s m',
    case when queue_worker.has_column(source, 'headers') then 'm.headers' else 'null::jsonb' end, source);
end $$;
comment on function queue_worker.messages(text) is
  'The messages of a queue with the same columns on every pgmq version. Behind the views pgmq.<queue>. Raises QW003.';

create or replace function queue_worker.notify_inserted() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform pg_catalog.pg_notify('queue_worker', tg_argv[0]);
  return null;
end $$;
comment on function queue_worker.notify_inserted() is
  'Wakes listening workers: one notification a statement on channel queue_worker with the queue''s name.';

-- A view over a function, not over the table: so pgmq.drop_queue and pgmq's upgrades are not blocked by it.
create or replace function queue_worker.create_view(queue text) returns void
language plpgsql set search_path = '' as $$
declare
  taken constant regclass := to_regclass(format('pgmq.%I', queue));
begin
  if taken is not null or queue ~ '^(q|a|notify)_' then
    return; -- ours already, or a name that pgmq or somebody else uses
  end if;
  execute format(
    'create view pgmq.%I with (security_invoker = true) as
       select msg_id, read_ct, enqueued_at, vt, message, headers from queue_worker.messages(%L)', queue, queue);
exception
  when duplicate_table or unique_violation then null; -- two workers started at once
end $$;
comment on function queue_worker.create_view(text) is
  'Creates pgmq.<queue>, so that `select * from pgmq.email_queue` answers. Leaves a name that is taken alone.';

-- So that a message's dead letter is found without reading all of them. A hash: whatever somebody puts into the queue fits.
create or replace function queue_worker.index_letters(queue text) returns void
language plpgsql set search_path = '' as $$
declare
  graveyard constant regclass := queue_worker.queue_table(queue_worker.dead_letter_queue(queue));
  name constant text := 'queue_worker_letters_' || substr(encode(sha256(convert_to(queue, 'UTF8')), 'hex'), 1, 16);
begin
  if graveyard is not null and to_regclass(format('pgmq.%I', name)) is null then
    execute format($q$create index %I on %s using hash ((message -> 'dead_letter' ->> 'origin_key'))$q$, name, graveyard);
  end if;
exception
  when insufficient_privilege or duplicate_table or unique_violation then null; -- somebody else's table, or made this moment
  when query_canceled then null; -- more letters than can be indexed within the time limit: a worker starts all the same, and `migrate` has more time
end $$;
comment on function queue_worker.index_letters(text) is 'Makes the index by which dead letters are found by origin key, where it is missing.';
do $$ begin perform queue_worker.index_letters(q.queue) from queue_worker.queues q; end $$;

create or replace function queue_worker.ensure_queue(queue text, notify boolean) returns void
language plpgsql set search_path = '' as $$
declare
  wanted text;
begin
  perform queue_worker.check_queue_name(queue);
  -- pgmq before 1.6 takes no lock of its own when two create the same queue.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('queue_worker.ensure_queue'));
  foreach wanted in array array[queue, queue_worker.dead_letter_queue(queue)] loop
    if queue_worker.queue_table(wanted) is null then
      perform pgmq.create(wanted);
    end if;
  end loop;
  insert into queue_worker.queues (queue) values (ensure_queue.queue) on conflict do nothing;
  perform queue_worker.create_view(queue);
  perform queue_worker.index_letters(queue);
  if notify and not exists (
    select 1 from pg_catalog.pg_trigger t
    where t.tgrelid = queue_worker.queue_table(queue) and t.tgname = 'queue_worker_notify') then
    execute format(
      'create trigger queue_worker_notify after insert on %s for each statement
         execute function queue_worker.notify_inserted(%L)', queue_worker.queue_table(queue), queue);
  end if;
end $$;
comment on function queue_worker.ensure_queue(text, boolean) is
  'Creates what is missing of: the queue, its dead-letter queue, the view pgmq.<queue> and, if asked, the NOTIFY trigger. '
  'Raises QW002 for a bad name.';

-- Not for anybody's queues: a mistyped name must not cost messages that matter.
create or replace function queue_worker.drop_queue(queue text) returns boolean
language plpgsql set search_path = '' as $$
declare
  portion constant int := 50000; -- so that a call stays within the server's time limit
  removed int;
  part text;
begin
  if queue_worker.check_queue_name(queue) !~ '^(stress|doctor)_[0-9a-f]{16}$' then
    raise exception 'queue-worker: "%" is no queue of a stress test or of the doctor', queue using errcode = 'QW002',
      hint = 'A queue of your own goes, with all its messages, by: select pgmq.drop_queue(''' || queue || ''');';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('queue_worker.ensure_queue'));
  if exists (select 1 from pg_catalog.pg_class c
    where c.relnamespace = 'pgmq'::regnamespace and c.relname = queue and c.relkind = 'v') then
    execute format('drop view pgmq.%I', queue);
  end if;
  foreach part in array array[queue, queue_worker.dead_letter_queue(queue)] loop
    if queue_worker.queue_table(part) is not null then
      perform pgmq.drop_queue(part);
    end if;
  end loop;
  delete from queue_worker.queues q where q.queue = drop_queue.queue;
  delete from queue_worker.grants g where g.queue = drop_queue.queue;
  delete from queue_worker.stats s where s.queue = drop_queue.queue;
  delete from queue_worker.arrivals a where a.queue = drop_queue.queue;
  delete from queue_worker.audit a where a.queue = drop_queue.queue;
  delete from queue_worker.isolations i where i.queue = drop_queue.queue;
  delete from queue_worker.origins o where o.queue = drop_queue.queue;
  delete from queue_worker.sent_keys k where k.queue = drop_queue.queue;
  delete from queue_worker.workers w where w.worker_id = drop_queue.queue;
  delete from queue_worker.outcomes o where o.ctid = any (array(
    select x.ctid from queue_worker.outcomes x where x.queue = drop_queue.queue limit portion));
  get diagnostics removed = row_count;
  return removed < portion;
end $$;
comment on function queue_worker.drop_queue(text) is
  'Drops a queue of a stress test or of the doctor (stress_ or doctor_ and 16 hex digits) with its dead letters, view and rows, and the registration of the '
  'worker named like it. False: rows are left, call again. Harmless when nothing is there. Raises QW002 for any other queue.';

create or replace function queue_worker.set_paused(queue text, paused boolean) returns void
language plpgsql set search_path = '' as $$
begin
  if queue_worker.queue_table(queue_worker.check_queue_name(queue)) is null then
    raise exception 'queue-worker: there is no queue "%"', queue using errcode = 'QW003',
      hint = 'Create it: select pgmq.create(''' || queue || ''');';
  end if;
  insert into queue_worker.queues as q (queue, paused) values (set_paused.queue, set_paused.paused)
  on conflict on constraint queues_pkey do update set paused = excluded.paused, changed_at = clock_timestamp();
  if not paused then
    perform queue_worker.close_breaker(queue);
  end if;
end $$;
comment on function queue_worker.set_paused(text, boolean) is
  'Pauses or resumes a queue for all workers. Messages in flight finish; sends go on. Resuming also closes its breaker. Raises QW003 '
  'when it is missing.';

create or replace function queue_worker.count_queue(queue text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  dead_source constant regclass := queue_worker.queue_table(queue_worker.dead_letter_queue(queue));
  counted jsonb;
  dead_count bigint := 0;
begin
  if source is null then
    return null;
  end if;
  execute format($q$
    select jsonb_build_object(
      'queue', $1,
      'ready', count(*) filter (where m.vt <= clock_timestamp()),
      'hidden', count(*) filter (where m.vt > clock_timestamp()),
      'oldest_ready_seconds', extract(epoch from clock_timestamp() - min(m.vt) filter (where m.vt <= clock_timestamp())))
    from %s m $q$, source) into counted using queue;
  if dead_source is not null then
    execute format('select count(*) from %s', dead_source) into dead_count;
  end if;
  return counted || jsonb_build_object('dead', dead_count, 'paused',
    coalesce((select q.paused from queue_worker.queues q where q.queue = count_queue.queue), false),
    'rate_limit', queue_worker.rate_limit(queue), 'breaker', queue_worker.breaker(queue));
exception when undefined_table or syntax_error then -- it was dropped this moment: then its name is a mere number
  return null;
end $$;
comment on function queue_worker.count_queue(text) is
  'Exact counts of one queue: ready, hidden (in flight, delayed or in backoff), dead; its breaker and what its rate limit leaves. Scans the queue''s table. Null when it '
  'was dropped, even this moment.';

create or replace function public.pgmq_metrics(queue_name text)
returns table (queue_length bigint, newest_msg_age_sec int, oldest_msg_age_sec int, total_messages bigint, scrape_time timestamptz)
language plpgsql stable security definer set search_path = '' as $$
begin
  if queue_worker.queue_table(queue_name) is null then
    raise exception 'there is no queue "%"', left(queue_name, 80) using errcode = 'QW003', hint = 'select * from pgmq.list_queues();';
  end if;
  return query select m.queue_length, m.newest_msg_age_sec, m.oldest_msg_age_sec, m.total_messages, m.scrape_time
    from pgmq.metrics(pgmq_metrics.queue_name) m;
end $$;
comment on function public.pgmq_metrics(text) is
  'pgmq''s own metrics of a queue with the same columns on every pgmq version. Ages in seconds. Raises QW003.';
select queue_worker.keep_private('public.pgmq_metrics(text)');
