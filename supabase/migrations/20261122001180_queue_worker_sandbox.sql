-- queue-worker, 13: the sandbox, a payment provider within the database, for development and tests. It behaves as the real ones
-- do (idempotency keys, refusals, lost answers), and what it does depends on the amount alone: see docs/processors/payments.md.

create table if not exists queue_worker.sandbox_payments (
  id text primary key,
  payment_id uuid,
  status text not null check (status in ('pending', 'authorized', 'succeeded', 'canceled', 'failed')),
  amount bigint not null check (amount > 0),
  currency text not null,
  capture boolean not null,
  captured_amount bigint not null default 0,
  refunded_amount bigint not null default 0,
  confirmation_url text,
  error text,
  created_at timestamptz not null default clock_timestamp()
);
comment on table queue_worker.sandbox_payments is 'The sandbox''s own view of payments: what a real provider would have in its books.';
create index if not exists sandbox_payments_payment on queue_worker.sandbox_payments (payment_id);

create table if not exists queue_worker.sandbox_refunds (
  id text primary key,
  sandbox_payment text not null references queue_worker.sandbox_payments (id),
  reference text not null,
  amount bigint not null check (amount > 0),
  status text not null check (status in ('succeeded', 'failed')),
  created_at timestamptz not null default clock_timestamp()
);
comment on table queue_worker.sandbox_refunds is 'Refunds of the sandbox''s payments.';
create index if not exists sandbox_refunds_payment on queue_worker.sandbox_refunds (sandbox_payment);

create table if not exists queue_worker.sandbox_requests (
  key text primary key check (length(key) between 1 and 100),
  request jsonb not null,
  asked int not null default 1,
  answer jsonb,
  asked_at timestamptz not null default clock_timestamp()
);
comment on table queue_worker.sandbox_requests is 'Idempotency keys the sandbox was given: the same key again gets the same answer.';

create or replace function queue_worker.sandbox_shown(id text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('payment', to_jsonb(s) || jsonb_build_object('amount', s.amount::text,
    'captured_amount', s.captured_amount::text, 'refunded_amount', s.refunded_amount::text))
  from queue_worker.sandbox_payments s where s.id = $1
$$;
comment on function queue_worker.sandbox_shown(text) is 'How the sandbox shows a payment: {payment}; null when it has none of this id.';

create or replace function queue_worker.sandbox_error(kind text, message text) returns jsonb
language sql immutable set search_path = '' as $$ select jsonb_build_object('error', kind, 'message', message) $$;
comment on function queue_worker.sandbox_error(text, text) is 'How the sandbox refuses: {error, message}.';

create or replace function queue_worker.sandbox_create(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  amount constant bigint := (request ->> 'amount')::bigint;
  holds constant boolean := not coalesce((request ->> 'capture')::boolean, true);
  status constant text := case amount when 4001 then 'failed' when 4002 then 'pending'
    else case when holds then 'authorized' else 'succeeded' end end;
  new_id constant text := 'sandbox_' || left(encode(sha256(convert_to(request ->> 'key', 'UTF8')), 'hex'), 24);
begin
  insert into queue_worker.sandbox_payments (id, payment_id, status, amount, currency, capture, captured_amount, confirmation_url, error)
  values (new_id, (request ->> 'payment_id')::uuid, status, amount, request ->> 'currency', not holds,
    case status when 'succeeded' then amount else 0 end,
    case status when 'pending' then coalesce(request ->> 'return_url', 'https://sandbox.invalid/') || '#' || new_id end,
    case status when 'failed' then 'card_declined: the sandbox declines this amount' end);
  return queue_worker.sandbox_shown(new_id);
end $$;
comment on function queue_worker.sandbox_create(jsonb) is 'The sandbox charges, holds, waits for the customer or declines, by the amount.';

create or replace function queue_worker.sandbox_change(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  operation constant text := request ->> 'operation';
  wanted bigint := (request ->> 'amount')::bigint;
  known queue_worker.sandbox_payments;
begin
  select * into known from queue_worker.sandbox_payments s where s.id = request ->> 'id' for update;
  if not found then
    return queue_worker.sandbox_error('not_found', format('the sandbox has no payment %s', request ->> 'id'));
  elsif operation = 'refund' then
    wanted := coalesce(wanted, known.captured_amount - known.refunded_amount);
    if known.status <> 'succeeded' or wanted <= 0 or wanted > known.captured_amount - known.refunded_amount then
      return queue_worker.sandbox_error('invalid', format('%s of a payment that is %s cannot be refunded', wanted, known.status));
    end if;
    insert into queue_worker.sandbox_refunds (id, sandbox_payment, reference, amount, status)
    values ('refund_' || left(encode(sha256(convert_to(request ->> 'key', 'UTF8')), 'hex'), 24), known.id, request ->> 'reference', wanted,
      case wanted when 4001 then 'failed' else 'succeeded' end);
    update queue_worker.sandbox_payments s set refunded_amount = s.refunded_amount + wanted where s.id = known.id and wanted <> 4001;
    return queue_worker.sandbox_refund(known.id, request ->> 'reference');
  elsif operation = 'capture' and known.status = 'authorized' and coalesce(wanted, known.amount) between 1 and known.amount then
    update queue_worker.sandbox_payments s set status = 'succeeded', captured_amount = coalesce(wanted, s.amount) where s.id = known.id;
  elsif operation = 'cancel' and known.status in ('pending', 'authorized') then
    update queue_worker.sandbox_payments s set status = 'canceled' where s.id = known.id;
  elsif operation = 'pay' and known.status = 'pending' then -- what a customer does at the confirmation_url
    update queue_worker.sandbox_payments s set status = case when s.capture then 'succeeded' else 'authorized' end,
      captured_amount = case when s.capture then s.amount else 0 end where s.id = known.id;
  else
    return queue_worker.sandbox_error('invalid', format('%s is not possible: the payment is %s', operation, known.status));
  end if;
  return queue_worker.sandbox_shown(known.id);
end $$;
comment on function queue_worker.sandbox_change(jsonb) is 'The sandbox captures, cancels, refunds, or lets the customer pay, or says why not.';

create or replace function queue_worker.sandbox_refund(payment text, reference text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('refund', (select to_jsonb(r) || jsonb_build_object('amount', r.amount::text)
    from queue_worker.sandbox_refunds r where r.sandbox_payment = $1 and r.reference = $2))
$$;
comment on function queue_worker.sandbox_refund(text, text) is 'How the sandbox shows a refund: {refund}, null in it when there is none of this reference.';

create or replace function queue_worker.sandbox(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  operation constant text := coalesce(request ->> 'operation', '');
  amount constant bigint := (request ->> 'amount')::bigint;
  known queue_worker.sandbox_requests;
begin
  case operation
    when 'read' then
      return coalesce(queue_worker.sandbox_shown(request ->> 'id'),
        queue_worker.sandbox_error('not_found', format('the sandbox has no payment %s', request ->> 'id')));
    when 'find' then
      return coalesce((select queue_worker.sandbox_shown(s.id) from queue_worker.sandbox_payments s
        where s.payment_id = (request ->> 'payment_id')::uuid order by s.created_at limit 1), '{"payment": null}');
    when 'find_refund' then
      return queue_worker.sandbox_refund(request ->> 'id', request ->> 'reference');
    when 'pay' then
      return queue_worker.sandbox_change(request);
    when 'create', 'capture', 'cancel', 'refund' then null;
    else
      raise exception 'queue-worker: the sandbox knows no operation "%"', left(operation, 40) using errcode = 'QW002',
        hint = 'It knows create, capture, cancel, refund, read, find, find_refund and pay.';
  end case;
  insert into queue_worker.sandbox_requests as r (key, request) values (request ->> 'key', request)
  on conflict on constraint sandbox_requests_pkey do update set asked = r.asked + 1 returning * into known;
  if known.request <> request then
    return queue_worker.sandbox_error('invalid', 'this idempotency key was used for another request');
  elsif known.answer is not null then
    return known.answer;
  elsif known.asked = 1 and operation = 'create' and amount = 4029 then
    return queue_worker.sandbox_error('rate_limited', 'too many requests') || '{"retry_after": 1}';
  elsif known.asked = 1 and operation = 'create' and amount = 4500 then
    return queue_worker.sandbox_error('unavailable', 'the sandbox is out of order');
  end if;
  known.answer := case operation when 'create' then queue_worker.sandbox_create(request) else queue_worker.sandbox_change(request) end;
  update queue_worker.sandbox_requests r set answer = known.answer where r.key = known.key;
  return case when operation = 'create' and amount = 4008 then queue_worker.sandbox_error('lost', 'the answer was lost') else known.answer end;
end $$;
comment on function queue_worker.sandbox(jsonb) is
  'A payment provider to play with: {operation: create|capture|cancel|refund|read|find|find_refund|pay, key?, id?, payment_id?, amount?, '
  'currency?, capture?, return_url?, reference?}. Returns {payment}, {refund} or {error, message}.';

select queue_worker.make_entry_point('sandbox', 'queue_worker.sandbox(request)',
  'The sandbox of the payments processor: {protocol, operation, …}; "pay" is what a customer would do. See queue_worker.sandbox.');
