-- queue-worker, 99: who may do what. Said in full both ways, because projects differ in what they grant by default.
-- The entry points run with their owner's rights; nobody else needs, or gets, anything in schema queue_worker.

do $$
declare
  callable regprocedure;
  is_private boolean;
  holder text;
begin
  for callable, is_private in
    select f.callable::regprocedure, f.is_private from queue_worker.our_functions() f
  loop
    execute format('revoke all on function %s from public', callable);
    foreach holder in array array['anon', 'authenticated', 'service_role', 'queue_worker'] loop
      if exists (select 1 from pg_catalog.pg_roles where rolname = holder) then
        execute format('revoke all on function %s from %I', callable, holder);
        if holder in ('service_role', 'queue_worker') and not is_private then
          execute format('grant execute on function %s to %I', callable, holder);
        end if;
      end if;
    end loop;
  end loop;
  foreach holder in array array['anon', 'authenticated', 'service_role', 'queue_worker'] loop
    if exists (select 1 from pg_catalog.pg_roles where rolname = holder) then
      execute format('revoke all on all tables in schema queue_worker from %I', holder);
      execute format('revoke all on schema queue_worker from %I', holder);
    end if;
  end loop;
end $$;

notify pgrst, 'reload schema';
