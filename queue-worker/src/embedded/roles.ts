/**
 * The database as a Supabase project hands it over: its roles, what they may do, their time limits. Kept as SQL,
 * because that is what a reader compares with the real thing. Run once, as superuser, in one transaction.
 */
import type { Secrets } from './keys.ts'

export function rolesSql(secrets: Pick<Secrets, 'databasePassword' | 'authenticatorPassword'>): string {
  return `
-- The role people use. Not a superuser, as on Supabase: what works here as postgres works there.
create role postgres login createdb createrole replication bypassrls password '${secrets.databasePassword}';
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
-- What PostgREST logs in as; it becomes one of the three for each request.
create role authenticator login noinherit password '${secrets.authenticatorPassword}';
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend, pg_create_subscription to postgres with admin option;

-- A role without a limit of its own (service_role) has authenticator's 8 seconds over REST.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter database postgres set statement_timeout = '2min';
alter database postgres owner to postgres;
grant all on database postgres to postgres;

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_admin set search_path = "$user", public, extensions;

-- Everything made in public is granted to the API's roles: so it is in the projects of before 2026, and whoever
-- forgets a revoke should see it here.
grant all on schema public to postgres;
grant usage on schema public to anon, authenticated, service_role;
${['postgres', 'supabase_admin']
  .flatMap((owner) =>
    ['tables', 'functions', 'sequences'].map(
      (kind) =>
        `alter default privileges for role ${owner} in schema public grant all on ${kind} to postgres, anon, authenticated, service_role;`,
    ),
  )
  .join('\n')}

-- PostgREST reads its schema again after every change of it.
create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$
begin
  if exists (
    select from pg_event_trigger_ddl_commands() c where c.schema_name is distinct from 'pg_temp'
  ) then
    notify pgrst, 'reload schema';
  end if;
end $$;
create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$
begin
  if exists (select from pg_event_trigger_dropped_objects() d where not d.is_temporary) then
    notify pgrst, 'reload schema';
  end if;
end $$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
`
}
