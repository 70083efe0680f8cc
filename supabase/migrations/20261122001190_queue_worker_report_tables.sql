-- queue-worker, 12: the table of reports, and where a report waits for a worker that fetches it over REST.

-- `reports` is a common name: a schema of the project's own is used as it is, a table left alone and told when a report is asked for.
do $do$
declare
  stranger text;
begin
  if to_regnamespace('reports') is null then
    create schema reports;
    comment on schema reports is 'Reports: a message in the queue reports can run each function here, with the rights of this schema''s owner.';
  end if;
  if to_regclass('public.reports') is null then
    create table public.reports (
      origin_key text constraint queue_worker_reports_pkey primary key,
      report text not null,
      params jsonb not null,
      format text not null, title text,
      time_zone text not null,
      state text not null check (state in ('running', 'done', 'failed')),
      rows bigint, bytes bigint, sha256 text, location text,
      error text,
      run text not null,
      requested_at timestamptz not null default clock_timestamp(), started_at timestamptz not null default clock_timestamp(),
      finished_at timestamptz
    );
    alter table public.reports enable row level security;
    comment on table public.reports is
      'Reports that were asked for, one row a message: state, rows, bytes, sha256 of the file, where it is, error. Written by queue-worker.';
    -- Only now: what the project grants later is the project's business.
    foreach stranger in array array['public', 'anon', 'authenticated', 'service_role'] loop
      if stranger = 'public' or exists (select 1 from pg_catalog.pg_roles where rolname = stranger) then
        execute format('revoke all on public.reports from %s', stranger);
      end if;
    end loop;
    if exists (select 1 from pg_catalog.pg_roles where rolname = 'service_role') then
      grant select on public.reports to service_role;
    end if;
  elsif not queue_worker.is_own_table('reports') then
    raise warning 'queue-worker: another table has the name public.reports, and was left alone; reports cannot be run'
      using hint = 'Rename it, then run our SQL files again.';
  end if;
end $do$;

create unlogged table if not exists queue_worker.report_pages (
  run text not null,
  page int not null,
  origin_key text not null,
  lines text not null,
  made_at timestamptz not null default clock_timestamp(),
  primary key (run, page)
);
comment on table queue_worker.report_pages is
  'Rows of reports that a worker fetches over REST: made by one statement, so that all pages are of one moment. Gone once they were fetched.';
