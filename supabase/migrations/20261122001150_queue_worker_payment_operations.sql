-- queue-worker, 12: what the payments processor asks. A call that may move money is written down before it is made, and what the
-- provider says is applied under the lock of the payment's row.

-- Its functions stand also where their tables are somebody else's; then check_payments keeps them from being run.
set check_function_bodies = off;

create or replace function queue_worker.payment_row(id uuid) returns jsonb
language sql stable set search_path = '' as $$
  -- Amounts as texts: JSON's numbers are floats to many readers.
  select to_jsonb(p) || jsonb_build_object('amount', p.amount::text, 'captured_amount', p.captured_amount::text,
    'refunded_amount', p.refunded_amount::text) from public.payments p where p.id = $1
$$;
comment on function queue_worker.payment_row(uuid) is 'A payment as JSON, its amounts as texts of digits; null when there is none.';

create or replace function queue_worker.payment_change(known jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select case when known ->> 'event_id' is not null then jsonb_build_object('outcome', known -> 'outcome', 'before', known -> 'status_before',
    'after', known -> 'status_after', 'origin_key', known -> 'origin_key') end
$$;
comment on function queue_worker.payment_change(jsonb) is 'What an event did, as JSON; null for none.';

create or replace function queue_worker.own_event(origin_key text, operation text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  if origin_key is null or length(origin_key) not between 1 and 200 or coalesce(operation, '') !~ '^[a-z]{1,20}$' then
    raise exception 'queue-worker: a payment''s operation needs an origin_key and a name' using errcode = 'QW002',
      hint = 'For example: "origin_key": "payments-1-…", "operation": "capture".';
  end if;
  return format('queue-worker:%s:%s', operation, origin_key);
end $$;
comment on function queue_worker.own_event(text, text) is 'The event id of what a message of ours did to a payment. Raises QW002 without one.';

create or replace function queue_worker.call_windows(windows tstzmultirange) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('from', lower(w), 'to', upper(w)) order by lower(w)), '[]') from unnest(windows) w
$$;
comment on function queue_worker.call_windows(tstzmultirange) is 'Windows of time as JSON: [{from, to}], the earliest first; none for null.';

create or replace function queue_worker.payment_begin(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  own_id constant text := queue_worker.own_event(request ->> 'origin_key', request ->> 'operation');
  given constant jsonb := request -> 'payment';
  -- Without an id the message is the payment's identity.
  wanted constant uuid := coalesce((request ->> 'payment_id')::uuid, queue_worker.payment_made_by(request ->> 'origin_key'));
  follow_up constant text := given ->> 'notify';
  known public.payments;
  done public.payment_events;
begin
  if follow_up !~ '^[a-z0-9_-]{1,43}$' then
    raise exception 'queue-worker: "notify" must be the name of a queue' using errcode = 'QW002', hint = 'Use 1 to 43 of a-z, 0-9, _ and -.';
  end if;
  if jsonb_typeof(given) = 'object' and given ->> 'amount' is not null then
    insert into public.payments (id, reference, provider, amount, currency, capture, description, metadata, notify)
    values (wanted, given ->> 'reference', given ->> 'provider', (given ->> 'amount')::bigint, given ->> 'currency',
      coalesce((given ->> 'capture')::boolean, true), given ->> 'description', coalesce(given -> 'metadata', '{}'),
      follow_up)
    on conflict on constraint queue_worker_payments_pkey do nothing;
  end if;
  select * into known from public.payments p where p.id = wanted for update;
  if not found then
    return '{"payment": null, "done": null, "windows": []}';
  end if;
  if (known.amount, known.currency) is distinct from (coalesce((given ->> 'amount')::bigint, known.amount),
    coalesce(given ->> 'currency', known.currency)) then
    raise exception 'queue-worker: payment % is about % % (minor units), the message says % %', known.id, known.amount,
      known.currency, given ->> 'amount', given ->> 'currency' using errcode = 'QW002', hint = 'Give every payment an id of its own.';
  end if;
  if known.status = 'new' and (known.provider is null and given ->> 'provider' is not null or known.notify is null and follow_up is not null) then
    update public.payments p set provider = coalesce(p.provider, given ->> 'provider'), notify = coalesce(p.notify, follow_up)
    where p.id = wanted;
  end if;
  select * into done from public.payment_events e where e.event_id = own_id and e.payment_id = wanted;
  return jsonb_build_object('payment', queue_worker.payment_row(wanted), 'done', queue_worker.payment_change(to_jsonb(done)),
    'windows', queue_worker.call_windows((select c.windows from queue_worker.payment_calls c where c.payment_id = wanted and c.call = 'create')));
end $$;
comment on function queue_worker.payment_begin(jsonb) is
  'Finds a payment, or makes the row a create message describes: {origin_key, operation, payment_id?, payment?: {provider, amount?, '
  'currency?, …}}. Returns {payment, done, windows}: the row, what this very message has done to it before, and when a provider was asked '
  'to create it: [{from, to}].';

create or replace function queue_worker.payment_call(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  operation constant text := request ->> 'operation';
  own_id constant text := queue_worker.own_event(request ->> 'origin_key', operation);
  -- Read here, so that a wrong one is refused whether or not a plan comes to look at it.
  wanted constant uuid := request ->> 'payment_id';
  spent constant int := request ->> 'spent';
  known public.payments;
  made queue_worker.payment_calls;
begin
  select * into known from public.payments p where p.id = wanted for update;
  if not found then
    raise exception 'queue-worker: there is no payment %', request ->> 'payment_id' using errcode = 'QW002';
  end if;
  if not queue_worker.check_operation(to_jsonb(known), operation, (request ->> 'amount')::bigint, request -> 'seen') then
    return '{"call": null}';
  end if;
  -- A payment is created once, by whichever message: all that ask for it share one key.
  insert into queue_worker.payment_calls as c (payment_id, call, origin_key)
  values (known.id, case operation when 'create' then operation else own_id end, request ->> 'origin_key')
  on conflict on constraint payment_calls_pkey do update set last_asked_at = clock_timestamp(), windows = c.windows + excluded.windows,
    generation = c.generation + case when c.generation = spent then 1 else 0 end
  returning * into made;
  return jsonb_build_object('call', jsonb_build_object('generation', made.generation,
    'windows', queue_worker.call_windows(made.windows), 'is_first', made.asked_at = made.last_asked_at,
    'key', left(encode(sha256(convert_to(format('%s/%s/%s/%s', made.origin_key, operation, known.id, made.generation), 'UTF8')), 'hex'), 40)));
end $$;
comment on function queue_worker.payment_call(jsonb) is
  'Writes down that a provider is about to be asked: {origin_key, operation, payment_id, amount?, seen?, spent?}. Returns {call: {key, '
  'generation, windows: [{from, to}], is_first}}, call null when nothing is left to do. spent is a generation whose key is of no more use.';

create or replace function queue_worker.payment_apply(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  seen constant jsonb := request -> 'seen';
  state constant text := queue_worker.payment_state(seen);
  event constant jsonb := request -> 'event';
  name constant text := coalesce(event ->> 'id', queue_worker.own_event(request ->> 'origin_key', request ->> 'operation'));
  wanted constant uuid := request ->> 'payment_id';
  known public.payments;
  told public.payment_events;
begin
  if jsonb_typeof(seen) is distinct from 'object' or seen ->> 'provider' is null or request ->> 'origin_key' is null
    or coalesce(state, '') not in ('pending', 'authorized', 'succeeded', 'partially_refunded', 'refunded', 'canceled', 'failed') then
    raise exception 'queue-worker: "seen" does not say what state which provider''s payment is in' using errcode = 'QW002',
      hint = 'For example: "seen": {"provider": "stripe", "provider_id": "pi_1", "status": "succeeded", "captured_amount": "100"}.';
  end if;
  select * into known from public.payments p
  where p.id = wanted or (p.provider, p.provider_id) = (seen ->> 'provider', seen ->> 'provider_id')
  order by p.id = wanted desc nulls last limit 1 for update;
  if not found then
    return '{"payment": null, "change": null}';
  end if;
  select * into told from public.payment_events e where e.provider = seen ->> 'provider' and e.event_id = name;
  if found then
    return jsonb_build_object('payment', queue_worker.payment_row(known.id), 'change', queue_worker.payment_change(to_jsonb(told)));
  end if;
  told := row(seen ->> 'provider', name, known.id, coalesce(event ->> 'type', request ->> 'operation'), (event ->> 'at')::timestamptz,
    clock_timestamp(), queue_worker.payment_transition(known.status, state), known.status, state, request ->> 'origin_key');
  perform queue_worker.check_money(to_jsonb(known), seen);
  if told.outcome is null then
    perform queue_worker.refuse_transition(known.id, known.status, 'become ' || state);
  elsif known.provider <> seen ->> 'provider' or known.provider_id <> seen ->> 'provider_id' then
    perform queue_worker.refuse_transition(known.id, format('%s at %s', coalesce(known.provider_id, known.status), known.provider),
      format('be %s at %s', seen ->> 'provider_id', seen ->> 'provider'));
  end if;
  if told.outcome = 'stale' then
    told.status_after := known.status;
  else
    update public.payments p set status = state, provider = seen ->> 'provider', provider_id = coalesce(seen ->> 'provider_id', p.provider_id),
      captured_amount = greatest(p.captured_amount, (seen ->> 'captured_amount')::bigint),
      refunded_amount = greatest(p.refunded_amount, (seen ->> 'refunded_amount')::bigint),
      confirmation_url = coalesce(seen ->> 'confirmation_url', p.confirmation_url),
      client_secret = coalesce(seen ->> 'client_secret', p.client_secret), last_error = left(seen ->> 'error', 2000)
    where p.id = known.id
    returning case when told.outcome = 'unchanged' and p.captured_amount + p.refunded_amount > known.captured_amount + known.refunded_amount
      then 'applied' else told.outcome end into told.outcome; -- as a further refund of a part is
  end if;
  insert into public.payment_events select told.*;
  return jsonb_build_object('payment', queue_worker.payment_row(known.id), 'change', queue_worker.payment_change(to_jsonb(told)));
end $$;
comment on function queue_worker.payment_apply(jsonb) is
  'Applies what a provider shows of a payment, once an event: {origin_key, operation?, payment_id?, event?: {id, type, at?}, seen: {provider, '
  'provider_id, status, amount?, currency?, captured_amount, refunded_amount, confirmation_url?, client_secret?, error?}}. What is older '
  'changes nothing; what contradicts raises QW004. Returns {payment, change: {outcome, before, after, origin_key}}, both null for a payment that is not ours.';

do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('payment_begin', 'Finds or makes a payment: {protocol, origin_key, operation, payment_id?, payment?}. See queue_worker.payment_begin.'),
    ('payment_call', 'Writes down a call to a provider: {protocol, origin_key, operation, payment_id, amount?, seen?, spent?}. See queue_worker.payment_call.'),
    ('payment_apply', 'Applies what a provider shows: {protocol, origin_key, operation?, payment_id?, event?, seen}. See queue_worker.payment_apply.')
  ) as e(name, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, format('queue_worker.%I(request)', entry.name), entry.purpose,
      before => 'perform queue_worker.check_payments();');
  end loop;
end $do$;

reset check_function_bodies;
