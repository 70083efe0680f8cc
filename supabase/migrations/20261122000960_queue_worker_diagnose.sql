-- queue-worker, 9: what the doctor asks. One answer with all that can be wrong inside the database, so that it is the same
-- over REST, where nothing but functions can be asked. Never a statement's text or a message: they may hold secrets.

create or replace function queue_worker.our_functions() returns table (callable oid, name text, is_private boolean)
language sql stable set search_path = '' as $$
  select p.oid, p.oid::regprocedure::text, p.pronamespace = 'queue_worker'::regnamespace from pg_catalog.pg_proc p
  where p.pronamespace = 'queue_worker'::regnamespace
    or (p.pronamespace = 'public'::regnamespace and (p.proname ~ '^queue_worker_' or p.proname = 'pgmq_metrics'))
$$;
comment on function queue_worker.our_functions() is 'The entry points and the private functions of this product, from the catalog.';

create or replace function queue_worker.found_grants() returns jsonb
language sql stable set search_path = '' as $$
  with roles as (
    select r.oid, r.rolname::text as name from pg_catalog.pg_roles r
    where r.rolname in ('anon', 'authenticated', 'service_role', 'queue_worker')),
  strangers as (select * from roles where name in ('anon', 'authenticated')),
  open_to as (
    select s.name as holder, f.name as what from strangers s, queue_worker.our_functions() f
    where pg_catalog.has_function_privilege(s.oid, f.callable, 'execute')
    union all
    select 'public', f.name from queue_worker.our_functions() f join pg_catalog.pg_proc p on p.oid = f.callable
    where exists (select 1 from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a where a.grantee = 0)
    union all
    select s.name, 'schema queue_worker' from strangers s where pg_catalog.has_schema_privilege(s.oid, 'queue_worker', 'usage')
    union all
    select s.name, c.oid::regclass::text from strangers s, pg_catalog.pg_class c
    where c.relnamespace = 'queue_worker'::regnamespace and c.relkind in ('r', 'p', 'v')
      and pg_catalog.has_table_privilege(s.oid, c.oid, 'select, insert, update, delete, truncate'))
  select jsonb_build_object(
    'open', (select coalesce(jsonb_agg(jsonb_build_object('role', o.holder, 'what', o.what) order by o.holder, o.what), '[]') from open_to o),
    'missing', (select coalesce(jsonb_agg(jsonb_build_object('role', r.name, 'what', f.name) order by r.name, f.name), '[]')
      from roles r, queue_worker.our_functions() f where r.name in ('service_role', 'queue_worker') and not f.is_private
        and not pg_catalog.has_function_privilege(r.oid, f.callable, 'execute')))
$$;
comment on function queue_worker.found_grants() is
  '{open: what anon, authenticated or public may do with our functions and tables, missing: entry points that service_role or queue_worker may not call}.';

create or replace function queue_worker.found_sessions() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(x.session order by x.seconds desc), '[]') from (
    select s.seconds, jsonb_build_object('pid', s.pid, 'user', s.usename, 'program', s.application_name, 'state', s.state,
      'seconds', s.seconds, 'holds_snapshot', s.backend_xmin is not null) as session
    from (select a.*, extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds from pg_catalog.pg_stat_activity a
      where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()) s
    where s.seconds > 1
    union all
    select s.seconds, jsonb_build_object('pid', null, 'user', s.owner, 'program', 'prepared transaction ' || s.gid,
      'state', 'prepared', 'seconds', s.seconds, 'holds_snapshot', true)
    from (select p.*, extract(epoch from clock_timestamp() - p.prepared)::float8 as seconds from pg_catalog.pg_prepared_xacts p
      where p.database = current_database()) s
    order by 1 desc limit 20) x
$$;
comment on function queue_worker.found_sessions() is
  'Transactions of this database that have been open for more than a second, the oldest first: {pid, user, program, state, seconds, holds_snapshot}.';

create or replace function queue_worker.found_queue(queue text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('queue', queue, 'exists', t.source is not null,
    'dead_letter_queue', queue_worker.queue_table(queue_worker.dead_letter_queue(queue)) is not null,
    'paused', coalesce((select q.paused from queue_worker.queues q where q.queue = found_queue.queue), false),
    'live_rows', pg_catalog.pg_stat_get_live_tuples(t.source), 'dead_rows', pg_catalog.pg_stat_get_dead_tuples(t.source))
  from (select queue_worker.queue_table(queue_worker.check_queue_name(queue)) as source) t
$$;
comment on function queue_worker.found_queue(text) is
  'What there is of a queue: {queue, exists, dead_letter_queue, paused, live_rows, dead_rows}; the rows as the statistics have them.';

create or replace function queue_worker.diagnose(queues jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'now', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'read_only', current_setting('transaction_read_only')::boolean,
    'grants', queue_worker.found_grants(),
    'sessions', queue_worker.found_sessions(),
    'queues', coalesce((select jsonb_agg(queue_worker.found_queue(n.name)) from jsonb_array_elements_text(queues) n(name)), '[]'),
    'connections', jsonb_build_object(
      'max', current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int - coalesce(current_setting('reserved_connections', true)::int, 0),
      'used', (select count(*) from pg_catalog.pg_stat_activity a where a.backend_type = 'client backend')),
    'migrations', (select coalesce(jsonb_agg(jsonb_build_object('name', m.name, 'checksum', m.checksum) order by m.name), '[]')
      from queue_worker.migrations m),
    'tables_in_the_way', to_jsonb(queue_worker.tables_in_the_way()),
    'workers', (select coalesce(jsonb_agg(jsonb_build_object('worker_id', w.worker_id, 'version', w.version, 'host', w.host,
        'pid', w.pid, 'queues', w.queues, 'schedules', w.schedules, 'stopping', w.stopping, 'drain', w.drain,
        'seen_seconds', extract(epoch from clock_timestamp() - w.seen_at)::float8) order by w.seen_at desc), '[]')
      from queue_worker.workers w where w.seen_at > clock_timestamp() - interval '1 day'))
$$;
comment on function queue_worker.diagnose(jsonb) is
  'What can be wrong in the database, for queues as a JSON array of names: {now, read_only, grants, sessions, queues, connections, migrations, tables_in_the_way, workers}.';
