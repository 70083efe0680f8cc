-- queue-worker, 11: payments. The tables are the business's to read; every change goes through the functions below.

create table if not exists public.payments (
  id uuid primary key default gen_random_uuid(),
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

create table if not exists queue_worker.payment_calls (
  payment_id uuid not null references public.payments (id) on delete cascade,
  call text not null,
  origin_key text not null,
  generation int not null default 1,
  asked_at timestamptz not null default now(),
  last_asked_at timestamptz not null default now(), -- as asked_at: asked once
  primary key (payment_id, call)
);
comment on table queue_worker.payment_calls is
  'Calls to providers that may move money, written down before they are made: their idempotency keys follow from it.';

create table if not exists queue_worker.payment_transitions (
  status_before text not null,
  status_after text not null,
  operations text[] not null,
  primary key (status_before, status_after)
);
comment on table queue_worker.payment_transitions is
  'The states a payment may go through, and the operations that may ask for it. Any of them may be learnt from the provider.';

-- A provider tells where a payment is now, not how it came there: so every state lists all that can follow it.
insert into queue_worker.payment_transitions as t (status_before, status_after, operations) values
  ('new', 'pending', '{create}'), ('new', 'authorized', '{create}'), ('new', 'succeeded', '{create}'),
  ('new', 'partially_refunded', '{}'), ('new', 'refunded', '{}'), ('new', 'canceled', '{create}'), ('new', 'failed', '{create}'),
  ('pending', 'authorized', '{}'), ('pending', 'succeeded', '{}'), ('pending', 'partially_refunded', '{}'),
  ('pending', 'refunded', '{}'), ('pending', 'canceled', '{cancel}'), ('pending', 'failed', '{}'),
  ('authorized', 'succeeded', '{capture}'), ('authorized', 'partially_refunded', '{}'), ('authorized', 'refunded', '{}'),
  ('authorized', 'canceled', '{cancel}'), ('authorized', 'failed', '{}'),
  ('succeeded', 'partially_refunded', '{refund}'), ('succeeded', 'refunded', '{refund}'),
  ('partially_refunded', 'refunded', '{refund}')
on conflict on constraint payment_transitions_pkey do update set operations = excluded.operations;

create or replace function queue_worker.payment_transition(status_before text, status_after text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return case
    when status_before = status_after then 'unchanged'
    when exists (select from queue_worker.payment_transitions t
      where t.status_before = payment_transition.status_before and t.status_after = payment_transition.status_after) then 'applied'
    when exists (select from queue_worker.payment_transitions t
      where t.status_before = payment_transition.status_after and t.status_after = payment_transition.status_before) then 'stale'
  end;
end $$;
comment on function queue_worker.payment_transition(text, text) is
  'Decides every change of a payment''s status: applied, unchanged, stale (it was there before, and has moved on), or null: impossible.';

create or replace function queue_worker.refuse_transition(id uuid, status_before text, wanted text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  raise exception 'queue-worker: payment % is %: it cannot %', id, left(status_before, 200), left(wanted, 250) using errcode = 'QW004',
    hint = 'The table of states is in docs/processors/payments.md.';
end $$;
comment on function queue_worker.refuse_transition(uuid, text, text) is 'Raises QW004: this cannot happen to a payment in this state.';

-- Holds for whoever may write the table, not for the worker alone.
create or replace function queue_worker.guard_payment() returns trigger
language plpgsql set search_path = '' as $$
begin
  if old.status <> new.status and coalesce(queue_worker.payment_transition(old.status, new.status), 'stale') = 'stale' then
    perform queue_worker.refuse_transition(old.id, old.status, 'become ' || new.status);
  end if;
  if (new.id, new.amount, new.currency) is distinct from (old.id, old.amount, old.currency)
    or (old.provider_id is not null and (new.provider, new.provider_id) is distinct from (old.provider, old.provider_id)) then
    perform queue_worker.refuse_transition(old.id, old.status, 'get another id, amount, currency or provider');
  end if;
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function queue_worker.guard_payment() is
  'The trigger on public.payments: refuses impossible transitions (QW004), and changes of what a payment is.';
create or replace trigger queue_worker_guard before update on public.payments
  for each row execute function queue_worker.guard_payment();

create or replace function queue_worker.payment_state(seen jsonb) returns text
language sql immutable set search_path = '' as $$
  select case
    when seen ->> 'status' <> 'succeeded' or coalesce((seen ->> 'refunded_amount')::bigint, 0) = 0 then seen ->> 'status'
    when (seen ->> 'refunded_amount')::bigint >= (seen ->> 'captured_amount')::bigint then 'refunded'
    else 'partially_refunded' end
$$;
comment on function queue_worker.payment_state(jsonb) is 'The state of a payment that a provider shows: its status, and how much was refunded.';

create or replace function queue_worker.check_operation(known public.payments, operation text, wanted bigint, seen jsonb) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  state constant text := coalesce(queue_worker.payment_state(seen), known.status);
  captured constant bigint := coalesce((seen ->> 'captured_amount')::bigint, known.captured_amount);
  refunded constant bigint := coalesce((seen ->> 'refunded_amount')::bigint, known.refunded_amount);
begin
  if operation = 'capture' and state in ('succeeded', 'partially_refunded', 'refunded') and captured = coalesce(wanted, captured)
    or operation = 'cancel' and state = 'canceled' or operation = 'create' and state <> 'new' then
    return false; -- it is as wanted already
  end if;
  if not exists (select from queue_worker.payment_transitions t where t.status_before = state and operation = any (t.operations)) then
    perform queue_worker.refuse_transition(known.id, state, operation);
  end if;
  if wanted <= 0 or operation = 'capture' and wanted > known.amount or operation = 'refund' and wanted > captured - refunded then
    perform queue_worker.refuse_transition(known.id, state, format('%s %s of %s', operation, wanted,
      case operation when 'refund' then format('%s captured and %s refunded', captured, refunded) else known.amount::text end));
  end if;
  return true;
end $$;
comment on function queue_worker.check_operation(public.payments, text, bigint, jsonb) is
  'Whether an operation has still something to do to a payment, as the provider shows it. Raises QW004 when it is impossible.';

do $$
declare
  relation text;
  holder text;
begin
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
end $$;
