-- An order is confirmed by mail when it is made, and again when it is shipped. All of it is here: no program knows of it.
create table if not exists orders (
  id bigint generated always as identity primary key,
  customer text not null,
  email text not null,
  total numeric not null,
  state text not null default 'new' check (state in ('new', 'shipped'))
);

-- As its owner, so that whoever may insert an order need have no rights on queues.
create or replace function mail_about_order() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform pgmq.send('email_queue', jsonb_build_object(
    'to', new.email,
    'subject', format('Order %s: %s', new.id, new.state),
    'text', case new.state
      when 'new' then format('Thank you, %s. We pack it: %s EUR.', new.customer, new.total)
      else format('It is on its way, %s.', new.customer) end));
  return null;
end $$;

create or replace trigger order_made after insert on orders
  for each row execute function mail_about_order();
create or replace trigger order_shipped after update of state on orders
  for each row when (old.state is distinct from new.state) execute function mail_about_order();
