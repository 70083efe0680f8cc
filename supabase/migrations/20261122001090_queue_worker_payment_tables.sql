-- queue-worker, 11: the tables of payments. They are the business's to read; every change goes through the functions of the next files.

-- Many databases have tables of these names. They are left alone: then there are no payments here, and everything else works.
create or replace function queue_worker.has_own_payments() returns boolean
language sql stable set search_path = '' as $$ select queue_worker.is_own_table('payments') and queue_worker.is_own_table('payment_events') $$;
comment on function queue_worker.has_own_payments() is 'Whether public.payments and public.payment_events are ours.';

create or replace function queue_worker.lacks_tables() returns boolean
language sql stable set search_path = '' as $$
  select not queue_worker.has_own_payments() and not queue_worker.tables_in_the_way() && array['public.payments', 'public.payment_events']
    or to_regclass('public.reports') is null
$$;
comment on function queue_worker.lacks_tables() is 'Whether tables of ours are missing, and nothing is in their way: then our files have to run again.';

create or replace function queue_worker.call_window() returns tstzmultirange
language sql volatile set search_path = '' as $$
  select tstzmultirange(tstzrange(clock_timestamp() - interval '10 minutes', clock_timestamp() + interval '20 minutes'))
$$;
comment on function queue_worker.call_window() is
  'When a payment that a provider is asked for now may say it was created: clocks differ, and a provider may take its time.';

create or replace function queue_worker.payment_made_by(origin_key text) returns uuid
language sql immutable set search_path = '' as $$ select substr(encode(sha256(convert_to('payment/' || origin_key, 'UTF8')), 'hex'), 1, 32)::uuid $$;
comment on function queue_worker.payment_made_by(text) is 'The id of the payment that a message makes when it names none: the same over all its deliveries.';

create or replace function queue_worker.check_payments() returns void
language plpgsql stable set search_path = '' as $$
begin
  if not queue_worker.has_own_payments() then
    raise exception 'queue-worker: payments cannot be worked on: %', coalesce((select string_agg(t.name, ', ') || ' is not the table of queue-worker'
        from unnest(queue_worker.tables_in_the_way()) t(name) where t.name <> 'public.reports'), 'public.payments or public.payment_events is missing')
      using errcode = 'QW003', hint = 'Give your own table another name (alter table … rename to …), then run: npx queue-worker migrate, or our SQL files '
        'again. Or work on payments with a processor of your own.';
  end if;
end $$;
comment on function queue_worker.check_payments() is 'Raises QW003 where the tables of payments are not ours.';

do $do$
declare
  is_new constant boolean := to_regclass('public.payments') is null;
  relation text;
  holder text;
begin
  if queue_worker.tables_in_the_way() && array['public.payments', 'public.payment_events'] then
    raise warning 'queue-worker: another table has the name public.payments or public.payment_events, and was left alone; payments cannot be worked on'
      using hint = 'Rename it, then run our SQL files again.';
    return;
  end if;
  create table if not exists public.payments (
    id uuid constraint queue_worker_payments_pkey primary key default gen_random_uuid(),
    reference text check (length(reference) <= 200),
    provider text check (provider in ('sandbox', 'stripe', 'yookassa')),
    provider_id text check (length(provider_id) <= 200),
    status text not null default 'new' check (status in
      ('new', 'pending', 'authorized', 'succeeded', 'partially_refunded', 'refunded', 'canceled', 'failed')),
    amount bigint not null check (amount > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- ISO 4217: how many digits of the amount stand behind the decimal point.
    exponent int not null generated always as (case
      when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF',
        'XOF', 'XPF') then 0
      when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
      when currency in ('CLF', 'UYW') then 4
      else 2 end) stored,
    captured_amount bigint not null default 0 check (captured_amount between 0 and amount),
    refunded_amount bigint not null default 0 check (refunded_amount between 0 and captured_amount),
    capture boolean not null default true,
    description text check (length(description) <= 500),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    confirmation_url text,
    client_secret text,
    notify text,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (provider, provider_id)
  );
  comment on table public.payments is
    'Payments, amounts in minor units of their currency. Insert rows with status new; the payments processor changes them.';
  create index if not exists payments_reference on public.payments (reference);

  create table if not exists public.payment_events (
    provider text not null,
    event_id text not null check (length(event_id) <= 300),
    payment_id uuid not null references public.payments (id) on delete cascade,
    type text not null check (length(type) <= 100),
    occurred_at timestamptz,
    recorded_at timestamptz not null default clock_timestamp(),
    outcome text not null check (outcome in ('applied', 'unchanged', 'stale')),
    status_before text not null,
    status_after text not null,
    origin_key text not null,
    primary key (provider, event_id)
  );
  comment on table public.payment_events is
    'What changed payments, or tried to: notifications by the id their provider gave them, and our own operations. Each counts once.';
  create index if not exists payment_events_payment on public.payment_events (payment_id, recorded_at);
  create index if not exists payment_events_origin_key on public.payment_events using hash (origin_key);

  create table if not exists queue_worker.payment_calls (
    payment_id uuid not null references public.payments (id) on delete cascade,
    call text not null,
    origin_key text not null,
    generation int not null default 1,
    asked_at timestamptz not null default now(),
    last_asked_at timestamptz not null default now(), -- as asked_at: asked once
    windows tstzmultirange not null default queue_worker.call_window(),
    primary key (payment_id, call)
  );
  create index if not exists payment_calls_origin_key on queue_worker.payment_calls using hash (origin_key);
  comment on table queue_worker.payment_calls is
    'Calls to providers that may move money, written down before they are made: their idempotency keys follow from it.';
  if not is_new then
    return; -- what the project has granted since is the project's business
  end if;
  foreach relation in array array['public.payments', 'public.payment_events'] loop
    execute format('alter table %s enable row level security', relation);
    execute format('revoke all on %s from public', relation);
    foreach holder in array array['anon', 'authenticated', 'service_role'] loop
      if exists (select 1 from pg_catalog.pg_roles where rolname = holder) then
        execute format('revoke all on %s from %I', relation, holder);
      end if;
    end loop;
    if exists (select 1 from pg_catalog.pg_roles where rolname = 'service_role') then
      execute format('grant select %s on %s to service_role', case relation when 'public.payments' then ', insert' end, relation);
    end if;
  end loop;
end $do$;
