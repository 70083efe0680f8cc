-- queue-worker, 1: what everything else stands on. Every file of this set can be applied again at any time.
-- Checks what it needs first: PostgreSQL 15 or newer, pgmq 1.4.4 or newer, the right to create schemas.

do $$
begin
  if current_setting('server_version_num')::int < 150000 then
    raise exception 'queue-worker needs PostgreSQL 15 or newer; this is %', current_setting('server_version')
      using hint = 'On Supabase: Project Settings > Infrastructure > Upgrade project.';
  end if;
  if to_regprocedure('pgmq.create(text)') is null then
    if not exists (select 1 from pg_catalog.pg_available_extensions where name = 'pgmq') then
      raise exception 'the pgmq extension is not available on this server'
        using hint = 'On Supabase: Integrations > Queues. Elsewhere install pgmq (github.com/pgmq/pgmq) first.';
    end if;
    -- The schema comes first so that the migrating role owns it and may create queues and views in it.
    create schema if not exists pgmq;
    create extension if not exists pgmq with schema pgmq;
  end if;
  if not has_schema_privilege(current_user, 'pgmq', 'CREATE') then
    raise exception 'role % may not create queues in schema pgmq', current_user
      using hint = 'Run the migration as the role that owns schema pgmq (on Supabase: postgres).';
  end if;
end $$;

create schema if not exists queue_worker;
comment on schema queue_worker is 'queue-worker: tables and helpers. Private: callers use public.queue_worker_*.';
revoke all on schema queue_worker from public;

-- Least privilege for a direct connection: `create role my_worker login password '…' in role queue_worker`.
do $$
begin
  if not exists (select 1 from pg_catalog.pg_roles where rolname = 'queue_worker') then
    create role queue_worker nologin;
  end if;
exception
  when duplicate_object or unique_violation then null; -- another migration made it at the same moment
  when insufficient_privilege then
    raise warning 'role queue_worker was not created: % may not create roles', current_user;
end $$;

create or replace function queue_worker.protocol() returns int
language sql immutable set search_path = '' as 'select 2';
comment on function queue_worker.protocol() is
  'The newest protocol these functions speak. A worker that asks for a newer one is refused with QW001.';

create or replace function queue_worker.check_request(request jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
  asked constant text := request ->> 'protocol';
begin
  if request is null or jsonb_typeof(request) <> 'object' then
    raise exception 'queue-worker: the request must be a JSON object' using errcode = 'QW002';
  end if;
  if asked is null or asked !~ '^[1-9][0-9]{0,5}$' then
    raise exception 'queue-worker: the request names no protocol version' using errcode = 'QW002',
      hint = 'Send {"protocol": 1, ...}.';
  end if;
  if asked::int > queue_worker.protocol() then
    raise exception 'queue-worker: this worker speaks protocol %, the database only %', asked,
      queue_worker.protocol() using errcode = 'QW001',
      hint = 'The migration in the database is older than the worker. Run: npx queue-worker migrate';
  end if;
end $$;
comment on function queue_worker.check_request(jsonb) is
  'Raises QW001 when the caller is newer than this migration, QW002 when the request is malformed.';

create or replace function queue_worker.list_in(request jsonb, name text) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  if jsonb_typeof(request -> name) is distinct from 'array' then
    raise exception 'queue-worker: "%" must be an array', name using errcode = 'QW002';
  end if;
  return request -> name;
end $$;
comment on function queue_worker.list_in(jsonb, text) is 'An array out of a request. Raises QW002 when it is missing or something else.';

-- Names: lower case, so that pgmq can be upgraded; 43 long, so that "_dlq" fits into pgmq's limit of 47.
create or replace function queue_worker.check_queue_name(queue text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  if queue is null or queue !~ '^[a-z0-9_-]{1,43}$' then
    raise exception 'queue-worker: "%" is no queue name', coalesce(left(queue, 80), 'null') using errcode = 'QW002',
      hint = 'Use 1 to 43 of a-z, 0-9, _ and -.';
  end if;
  return queue;
end $$;
comment on function queue_worker.check_queue_name(text) is
  'Returns the name if it is one (1 to 43 of a-z, 0-9, _ and -), else raises QW002.';

create or replace function queue_worker.dead_letter_queue(queue text) returns text
language sql immutable set search_path = '' as $$ select queue || '_dlq' $$;
comment on function queue_worker.dead_letter_queue(text) is 'The name of a queue''s dead-letter queue.';

create or replace function queue_worker.queue_table(queue text) returns regclass
language sql stable set search_path = '' as $$ select to_regclass(format('pgmq.%I', 'q_' || coalesce(queue, ''))) $$;
comment on function queue_worker.queue_table(text) is 'The table of a queue''s messages; null when there is no such queue.';

create or replace function queue_worker.archive_table(queue text) returns regclass
language sql stable set search_path = '' as $$ select to_regclass(format('pgmq.%I', 'a_' || coalesce(queue, ''))) $$;
comment on function queue_worker.archive_table(text) is 'The table of a queue''s archive; null when there is no such queue.';

-- pgmq's tables differ between versions (headers from 1.5, last_read_at from 1.10): ask the catalog, never assume.
create or replace function queue_worker.has_column(relation regclass, column_name text) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = relation and a.attname = column_name and a.attnum > 0 and not a.attisdropped)
$$;
comment on function queue_worker.has_column(regclass, text) is 'Whether a table has a column, from the catalog.';

create or replace function queue_worker.has_columns(relation regclass, names text[]) returns boolean
language sql stable set search_path = '' as $$
  select relation is not null and not exists (select 1 from unnest(names) n(name) where not queue_worker.has_column(relation, n.name))
$$;
comment on function queue_worker.has_columns(regclass, text[]) is 'Whether there is a table with all of these columns.';

create or replace function queue_worker.is_own_table(name text) returns boolean
language sql stable set search_path = '' as $$
  select queue_worker.has_columns(to_regclass(format('public.%I', name)), case name
    when 'payments' then array['id', 'reference', 'provider', 'provider_id', 'status', 'amount', 'currency', 'exponent', 'captured_amount',
      'refunded_amount', 'capture', 'description', 'metadata', 'confirmation_url', 'client_secret', 'notify', 'last_error', 'created_at', 'updated_at']
    when 'payment_events' then array['provider', 'event_id', 'payment_id', 'type', 'occurred_at', 'recorded_at', 'outcome', 'status_before',
      'status_after', 'origin_key']
    when 'reports' then array['origin_key', 'report', 'params', 'format', 'title', 'time_zone', 'state', 'rows', 'bytes', 'sha256', 'location',
      'error', 'run', 'requested_at', 'started_at', 'finished_at']
    end)
$$;
comment on function queue_worker.is_own_table(text) is 'Whether public.payments, payment_events or reports is there and ours: it has all our columns.';

create or replace function queue_worker.tables_in_the_way() returns text[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(format('public.%s', n.name) order by n.place), '{}')
  from unnest(array['payments', 'payment_events', 'reports']) with ordinality n(name, place)
  where to_regclass(format('public.%I', n.name)) is not null and not queue_worker.is_own_table(n.name)
$$;
comment on function queue_worker.tables_in_the_way() is
  'Tables of somebody else that have the names of ours. They are left alone; what would need ours cannot be used.';

-- Connection, read-only database, serialization, resources, locks, shutdown, system: the request may work in a moment.
create or replace function queue_worker.is_transient(state text) returns boolean
language sql immutable set search_path = '' as $$ select state ~ '^(08|25|40|53|57|58|XX)' or state = '55P03' $$;
comment on function queue_worker.is_transient(text) is
  'Whether an SQLSTATE speaks of a passing trouble, so that the whole call is to be repeated, not one part of it refused.';

-- Whoever may not call a function must never have been able to: not even between this file and the one with the grants.
create or replace function queue_worker.keep_private(callable regprocedure) returns void
language plpgsql set search_path = '' as $$
declare
  stranger text;
begin
  execute format('revoke all on function %s from public', callable);
  foreach stranger in array array['anon', 'authenticated'] loop
    if exists (select 1 from pg_catalog.pg_roles where rolname = stranger) then
      execute format('revoke all on function %s from %I', callable, stranger);
    end if;
  end loop;
end $$;
comment on function queue_worker.keep_private(regprocedure) is
  'Takes a function away from public, anon and authenticated, whatever the project grants by default.';
