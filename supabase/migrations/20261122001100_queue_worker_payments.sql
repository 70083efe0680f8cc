-- queue-worker, 11: the states of payments, and what may follow what.

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

create or replace function queue_worker.payment_state(seen jsonb) returns text
language sql immutable set search_path = '' as $$
  select case
    when seen ->> 'status' <> 'succeeded' or coalesce((seen ->> 'refunded_amount')::bigint, 0) = 0 then seen ->> 'status'
    when (seen ->> 'refunded_amount')::bigint >= (seen ->> 'captured_amount')::bigint then 'refunded'
    else 'partially_refunded' end
$$;
comment on function queue_worker.payment_state(jsonb) is 'The state of a payment that a provider shows: its status, and how much was refunded.';

-- A provider has under our id what somebody wrote there. After a part was captured, YooKassa shows that part as the amount.
create or replace function queue_worker.check_money(known jsonb, seen jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
  amount constant bigint := (known ->> 'amount')::bigint;
  shown constant bigint := coalesce((seen ->> 'amount')::bigint, amount);
  is_captured_part constant boolean := not (known ->> 'capture')::boolean and seen ->> 'status' = 'succeeded' and shown < amount;
begin
  if shown <> amount and not is_captured_part or seen ->> 'currency' <> known ->> 'currency' then
    raise exception 'queue-worker: payment % is about % % (minor units), but % at % is about % %', known ->> 'id', amount,
      known ->> 'currency', left(coalesce(seen ->> 'provider_id', 'what was found'), 200), seen ->> 'provider', shown, coalesce(seen ->> 'currency', '')
      using errcode = 'QW004', hint = 'It is another payment that has this one''s id in its metadata: find out who made it, and cancel it there.';
  end if;
end $$;
comment on function queue_worker.check_money(jsonb, jsonb) is
  'Raises QW004 when what a provider shows is about another amount or currency than the payment.';

create or replace function queue_worker.check_operation(known jsonb, operation text, wanted bigint, seen jsonb) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  state constant text := coalesce(queue_worker.payment_state(seen), known ->> 'status');
  captured constant bigint := coalesce((seen ->> 'captured_amount')::bigint, (known ->> 'captured_amount')::bigint);
  refunded constant bigint := coalesce((seen ->> 'refunded_amount')::bigint, (known ->> 'refunded_amount')::bigint);
begin
  perform queue_worker.check_money(known, seen);
  if operation = 'capture' and state in ('succeeded', 'partially_refunded', 'refunded') and captured = coalesce(wanted, captured)
    or operation = 'cancel' and state in ('canceled', 'failed') or operation = 'create' and state <> 'new' then
    return false; -- it is as wanted already
  end if;
  if not exists (select from queue_worker.payment_transitions t where t.status_before = state and operation = any (t.operations)) then
    perform queue_worker.refuse_transition((known ->> 'id')::uuid, state, operation);
  end if;
  if wanted <= 0 or operation = 'capture' and wanted > (known ->> 'amount')::bigint or operation = 'refund' and wanted > captured - refunded then
    perform queue_worker.refuse_transition((known ->> 'id')::uuid, state, format('%s %s of %s', operation, wanted,
      case operation when 'refund' then format('%s captured and %s refunded', captured, refunded) else known ->> 'amount' end));
  end if;
  return true;
end $$;
comment on function queue_worker.check_operation(jsonb, text, bigint, jsonb) is
  'Whether an operation has still something to do to a payment, as the provider shows it. Raises QW004 when it is impossible.';

do $$
begin
  if queue_worker.has_own_payments() then
    create or replace trigger queue_worker_guard before update on public.payments
      for each row execute function queue_worker.guard_payment();
  end if;
end $$;
