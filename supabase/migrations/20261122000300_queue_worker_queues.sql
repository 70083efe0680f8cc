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
  if queue_worker.check_queue_name(queue) !~ '^stress_[0-9a-f]{16}$' then
    raise exception 'queue-worker: "%" is no queue of a stress test', queue using errcode = 'QW002',
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
  'Drops a queue of a stress test (stress_ and 16 hex digits) with its dead letters, view and rows, and the registration of the '
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

-- What is past the limit is not looked at: of a deep queue, the server's running count of its rows is near enough.
create or replace function queue_worker.count_table(source regclass, at timestamptz, exact_up_to bigint, out ready bigint, out hidden bigint)
language plpgsql stable set search_path = '' as $$
declare
  living constant bigint := pg_catalog.pg_stat_get_live_tuples(source);
begin
  execute format($q$
    select (select count(*) from (select from %1$s m where m.vt <= $1 limit $2 + 1) r),
      (select count(*) from (select from %1$s m where m.vt > $1 limit $2 + 1) h)
    $q$, source) into ready, hidden using at, exact_up_to;
  if hidden > exact_up_to and ready <= exact_up_to then
    hidden := greatest(hidden, living - ready);
  elsif ready > exact_up_to then
    ready := greatest(ready, living - hidden);
  end if;
end $$;
comment on function queue_worker.count_table(regclass, timestamptz, bigint) is
  'How many messages are due and how many are hidden: exact up to so many (null: always), beyond that by the server''s statistics.';

create or replace function queue_worker.count_queue(queue text, exact_up_to bigint) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  dead_source constant regclass := queue_worker.queue_table(queue_worker.dead_letter_queue(queue));
  at constant timestamptz := clock_timestamp();
  counted record;
  dead record;
  oldest timestamptz;
begin
  if source is null then
    return null;
  end if;
  select * into counted from queue_worker.count_table(source, at, exact_up_to);
  execute format('select min(m.vt) from %s m where m.vt <= $1', source) into oldest using at;
  select coalesce(sum(c.ready + c.hidden), 0) as letters into dead
  from (select dead_source where dead_source is not null) d(source), queue_worker.count_table(d.source, at, exact_up_to) c;
  return jsonb_build_object('queue', queue, 'ready', counted.ready, 'hidden', counted.hidden, 'dead', dead.letters,
    'oldest_ready_seconds', extract(epoch from at - oldest),
    'paused', coalesce((select q.paused from queue_worker.queues q where q.queue = count_queue.queue), false),
    'rate_limit', queue_worker.rate_limit(queue), 'breaker', queue_worker.breaker(queue));
exception when undefined_table then
  return null;
end $$;
comment on function queue_worker.count_queue(text, bigint) is
  'Counts of one queue: ready, hidden (in flight, delayed or in backoff), dead; its age, its breaker and what its rate limit leaves. Exact up to '
  'so many messages of each kind (null: however many there are, by scanning the queue''s table). Null when it was dropped, even this moment.';

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
