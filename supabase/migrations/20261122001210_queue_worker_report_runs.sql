-- queue-worker, 12: running a report. A run is one try of a message; whatever names an older run changes nothing.

create or replace function queue_worker.report_start(request jsonb) returns jsonb
language plpgsql set search_path = '' set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
declare
  key constant text := nullif(request ->> 'origin_key', '');
  run constant text := nullif(request ->> 'run', '');
  zone constant text := coalesce(request ->> 'time_zone', 'UTC');
  known record;
  callable regprocedure;
  made jsonb := case when jsonb_typeof(request -> 'params') = 'object' then request -> 'params' else '{}' end;
  wrong text;
  remedy text;
begin
  if key is null or run is null or request ->> 'report' is null or request ->> 'format' is null then
    raise exception 'queue-worker: origin_key, run, report and format are needed' using errcode = 'QW002';
  elsif not queue_worker.is_own_table('reports') then
    raise exception 'queue-worker: the table public.reports is missing, or is not the one of queue-worker' using errcode = 'QW003',
      hint = 'Give your own table another name (alter table … rename to …), then run: npx queue-worker migrate, or our SQL files again.';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(key, 91));
  select r.* into known from public.reports r where r.origin_key = key;
  if found and known.state = 'done' and not coalesce((request ->> 'again')::boolean, false) then
    return jsonb_build_object('state', 'done', 'rows', known.rows, 'bytes', known.bytes, 'sha256', known.sha256,
      'location', known.location, 'title', known.title);
  end if;
  begin
    perform set_config('timezone', zone, true);
    callable := queue_worker.find_report(request ->> 'report');
    made := queue_worker.report_values(callable, request -> 'params');
    perform queue_worker.check_period(callable, made);
  exception when data_exception or sqlstate 'QW002' then
    get stacked diagnostics remedy = pg_exception_hint;
    wrong := regexp_replace(sqlerrm, '^queue-worker: ', '') || '.' || coalesce(' ' || nullif(remedy, ''), '');
  end;
  insert into public.reports as r (origin_key, report, params, format, title, time_zone, state, error, run, finished_at)
  values (key, request ->> 'report', made, request ->> 'format', request ->> 'title', zone,
    case when wrong is null then 'running' else 'failed' end, wrong, run, case when wrong is not null then clock_timestamp() end)
  on conflict on constraint queue_worker_reports_pkey do update set report = excluded.report, params = excluded.params, format = excluded.format,
    title = excluded.title, time_zone = excluded.time_zone, state = excluded.state, error = excluded.error, run = excluded.run,
    started_at = clock_timestamp(), finished_at = excluded.finished_at, rows = null, bytes = null, sha256 = null, location = null;
  if wrong is not null then
    return jsonb_build_object('state', 'refused', 'error', wrong);
  end if;
  return jsonb_build_object('state', 'running', 'params', made, 'about', obj_description(callable, 'pg_proc'), 'columns', (
    select jsonb_agg(jsonb_build_object('name', c.name, 'type', format_type(c.type, null)) order by c.place)
    from queue_worker.report_columns(callable) c));
end $$;
comment on function queue_worker.report_start(jsonb) is
  'Starts a run of a report and records it: {origin_key, run, report, params?, format, title?, time_zone?, again?}. Returns {state: running, '
  'columns: [{name, type}], params, about}; {state: done, rows, bytes, sha256, location, title} when there is a file already (unless '
  'again); {state: refused, error} when there is no such report or its parameters are wrong.';

create or replace function queue_worker.report_finish(request jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
  counted constant bigint := request ->> 'rows';
  size constant bigint := request ->> 'bytes';
begin
  update public.reports r set state = 'done', rows = counted, bytes = size, sha256 = request ->> 'sha256',
    location = request ->> 'location', title = coalesce(request ->> 'title', r.title), error = null, finished_at = clock_timestamp()
  where r.origin_key = request ->> 'origin_key' and r.run = request ->> 'run' and r.state in ('running', 'done');
  return found;
end $$;
comment on function queue_worker.report_finish(jsonb) is
  'Records the file of a run: {origin_key, run, rows, bytes, sha256, location, title?}. False when another run has begun since.';

create or replace function queue_worker.report_fail(request jsonb) returns boolean
language plpgsql set search_path = '' as $$
begin
  update public.reports r set state = 'failed', error = left(request ->> 'error', 4000), finished_at = clock_timestamp()
  where r.origin_key = request ->> 'origin_key' and r.run = request ->> 'run' and r.state in ('running', 'failed');
  return found;
end $$;
comment on function queue_worker.report_fail(jsonb) is
  'Records why a run failed: {origin_key, run, error}. False when it ended otherwise or another run has begun since.';

-- The block with the exception clause is a transaction within the transaction, and it is read-only until its end: nothing in it can switch
-- that off, as PostgreSQL refuses it after a query, and after it the caller may write again.
create or replace function public.queue_worker_report_rows(request jsonb) returns setof text
language plpgsql volatile security definer
set search_path = '' set datestyle = 'ISO, YMD' set timezone = 'UTC' set extra_float_digits = 1
set bytea_output = 'hex' set intervalstyle = 'postgres' as $$
declare
  asked record;
  callable regprocedure;
  line text;
  lines text[] := '{}';
  size int := 0;
  fits int;
begin
  begin
    perform queue_worker.check_request(request);
    fits := greatest(1, coalesce((request ->> 'page_bytes')::int, 65536));
  exception when data_exception or sqlstate 'QW002' then
    perform queue_worker.refuse('queue_worker_report_rows', sqlstate, sqlerrm, null);
  end;
  select r.report, r.params, r.time_zone into asked from public.reports r
  where r.origin_key = request ->> 'origin_key' and r.run = request ->> 'run' and r.state = 'running';
  if not found then
    raise exception 'queue-worker: this run of the report is over: another one has begun, or it was never started'
      using errcode = 'QW002', hint = 'Call queue_worker_report_start first.';
  end if;
  perform set_config('timezone', asked.time_zone, true);
  callable := queue_worker.find_report(asked.report);
  begin
    perform set_config('transaction_read_only', 'on', true);
    for line in execute format('select array_to_json(array[%s])::text from %s r(%s)', queue_worker.report_cells(callable),
      queue_worker.report_call(callable, asked.params), queue_worker.report_aliases(callable))
    loop
      lines := array_append(lines, line);
      size := size + length(line);
      if size >= fits then
        return next array_to_string(lines, ',');
        lines := '{}';
        size := 0;
      end if;
    end loop;
    if size > 0 then
      return next array_to_string(lines, ',');
    end if;
  exception when others then
    if queue_worker.report_may_pass(sqlstate) then
      raise;
    end if;
    raise exception 'queue-worker: the report "%" failed: % (%)', left(asked.report, 80), left(sqlerrm, 400), sqlstate
      using errcode = 'QW002', hint = case when sqlstate = '25006' then 'A report may only read.'
        else 'Mend the function, or what it reads.' end;
  end;
end $$;
comment on function public.queue_worker_report_rows(jsonb) is
  'Runs a report that was started and returns its rows in pages, each a list of JSON arrays of texts with commas between: {protocol, '
  'origin_key, run, page_bytes?}. A page has at least page_bytes, but for the last. Nothing can be written meanwhile.';
select queue_worker.keep_private('public.queue_worker_report_rows(jsonb)');

create or replace function queue_worker.report_open(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  pages bigint;
begin
  delete from queue_worker.report_pages p
  where p.origin_key = request ->> 'origin_key' or p.made_at < clock_timestamp() - interval '1 day';
  insert into queue_worker.report_pages (run, page, origin_key, lines)
  select request ->> 'run', r.place - 1, request ->> 'origin_key', r.lines
  from public.queue_worker_report_rows(request) with ordinality r(lines, place);
  get diagnostics pages = row_count;
  return jsonb_build_object('pages', pages);
end $$;
comment on function queue_worker.report_open(jsonb) is
  'Runs a report that was started and keeps its rows as pages, for callers without a cursor: {origin_key, run, page_bytes?}; returns {pages}. '
  'Pages of older runs of the same message, and those of more than a day, are removed.';

create or replace function queue_worker.report_page(request jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('lines', p.lines) from queue_worker.report_pages p
  where p.run = request ->> 'run' and p.page = (request ->> 'page')::int
$$;
comment on function queue_worker.report_page(jsonb) is
  'One page, counted from 0: {run, page}; returns {lines}, as in queue_worker_report_rows. null: it is gone.';

create or replace function queue_worker.report_close(request jsonb) returns void
language sql set search_path = '' as $$
  delete from queue_worker.report_pages p where p.run = request ->> 'run'
$$;
comment on function queue_worker.report_close(jsonb) is 'Removes the pages of a run: {run}.';

do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('report_start', 'queue_worker.report_start(request)', '',
      'Starts a run of a report: {protocol, origin_key, run, report, params?, format, title?, time_zone?, again?}. See queue_worker.report_start.'),
    ('report_finish', 'to_jsonb(queue_worker.report_finish(request))', '',
      'Records the file of a run: {protocol, origin_key, run, rows, bytes, sha256, location, title?}.'),
    ('report_fail', 'to_jsonb(queue_worker.report_fail(request))', '', 'Records why a run failed: {protocol, origin_key, run, error}.'),
    -- PostgREST takes this time limit over from the function; without it a limit meant for small requests would end a long report.
    ('report_open', 'queue_worker.report_open(request)', 'set statement_timeout = ''10min''',
      'Runs a report and keeps its rows as pages: {protocol, origin_key, run, page_bytes?}; returns {pages}. See queue_worker.report_open.'),
    ('report_page', 'queue_worker.report_page(request)', '', 'One page of a run: {protocol, run, page}; returns {lines}, or null when it is gone.'),
    ('report_close', 'to_jsonb(queue_worker.report_close(request)::text)', '', 'Removes the pages of a run: {protocol, run}.')
  ) as e(name, expression, setting, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, entry.expression, entry.purpose, settings => entry.setting);
  end loop;
end $do$;
