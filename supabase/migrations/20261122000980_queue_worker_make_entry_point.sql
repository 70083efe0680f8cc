-- queue-worker, 10: how an entry point is made: what all of them have around what they do.

-- A value that cannot be cast, that no table takes or that is too large is the caller's mistake, wherever it is found.
create or replace function queue_worker.refuse(entry_point text, state text, said text, remedy text) returns void
language plpgsql stable set search_path = '' as $$
declare
  purpose constant text := (
    select obj_description(p.oid, 'pg_proc') from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = entry_point);
begin
  raise exception '%', left(case when state = 'QW002' then said
      else format('queue-worker: %s cannot use this request: %s (%s)', entry_point, said, state) end, 600)
    using errcode = 'QW002', hint = coalesce(nullif(remedy, ''), purpose);
end $$;
comment on function queue_worker.refuse(text, text, text, text) is
  'Raises QW002 for an error that a request caused: names the entry point, and as a hint what it takes unless there is a better one.';

create or replace function queue_worker.make_entry_point(
  name text, expression text, purpose text, answer text default 'jsonb', settings text default '', before text default '')
returns void
language plpgsql set search_path = '' as $$
declare
  called constant text := 'queue_worker_' || name;
  known constant regprocedure := to_regprocedure(format('public.%I(jsonb)', called));
  is_new boolean := false;
  holder text;
begin
  if (select p.prorettype <> answer::regtype from pg_catalog.pg_proc p where p.oid = known) then
    execute format('drop function %s', known);
    is_new := true; -- and who could call it still must, until the grants are given as a whole
  end if;
  execute format($sql$
    create or replace function public.%I(request jsonb) returns %s
    language plpgsql volatile security definer set search_path = '' %s as $body$
    declare
      remedy text;
    begin
      perform queue_worker.check_request(request);
      %s
      return %s;
    exception
      when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'QW002' then
        get stacked diagnostics remedy = pg_exception_hint;
        perform queue_worker.refuse(%L, sqlstate, sqlerrm, remedy);
    end $body$ $sql$, called, answer, settings, before, expression, called);
  perform queue_worker.keep_private(format('public.%I(jsonb)', called)::regprocedure);
  execute format('comment on function public.%I(jsonb) is %L', called, purpose);
  foreach holder in array array['service_role', 'queue_worker'] loop
    if is_new and exists (select 1 from pg_catalog.pg_roles r where r.rolname = holder) then
      execute format('grant execute on function public.%I(jsonb) to %I', called, holder);
    end if;
  end loop;
end $$;
comment on function queue_worker.make_entry_point(text, text, text, text, text, text) is
  'Makes the entry point queue_worker_<name>: it checks the request, runs the statement before, if any, and answers with the expression, a value of '
  'the type answer. What the request itself caused is refused with QW002 and, as a hint, the purpose. settings are clauses of create function.';
