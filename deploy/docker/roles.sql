-- Run once, when the database of the profile "local" is made: the roles of a Supabase project, as far as the API needs them.
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'for-this-machine-alone';
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
alter role authenticator set statement_timeout = '8s';
