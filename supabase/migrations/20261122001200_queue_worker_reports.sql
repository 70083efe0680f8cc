-- queue-worker, 12: reports. A report is a function in schema reports; nothing else can be run, and it can only read.

create or replace function queue_worker.find_report(report text) returns regprocedure
language plpgsql stable set search_path = '' as $$
declare
  candidates oid[];
  known text;
begin
  select array_agg(p.oid) filter (where p.proname = report), string_agg(distinct p.proname, ', ')
  into candidates, known
  from pg_catalog.pg_proc p
  where p.pronamespace = to_regnamespace('reports') and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
    and pg_has_role(p.proowner, current_user, 'usage'); -- with whose rights it runs: nobody below may decide what it does
  if candidates is null then
    raise exception 'queue-worker: there is no report "%"; known are: %', coalesce(left(report, 80), 'null'), coalesce(left(known, 300), 'none')
      using errcode = 'QW002', hint = 'A report is a function in schema reports, owned by the role that applied the migrations or one above: create function reports.… returns table (…).';
  elsif cardinality(candidates) > 1 then
    raise exception 'queue-worker: there are % functions reports.%', cardinality(candidates), report
      using errcode = 'QW002', hint = 'Keep one of them, or give them different names: the name alone must tell which to run.';
  elsif not exists (select 1 from queue_worker.report_columns(candidates[1])) then
    raise exception 'queue-worker: the function reports.% does not say which columns it returns', report
      using errcode = 'QW002', hint = 'Declare it with "returns table (…)" or "returns setof" a table.';
  elsif exists (select 1 from queue_worker.report_parameters(candidates[1]) a where a.name = '' or a.mode = 'v') then
    raise exception 'queue-worker: the function reports.% has a parameter without a name, or a variadic one', report
      using errcode = 'QW002', hint = 'Give each parameter a name; instead of a variadic one take an array.';
  end if;
  return candidates[1];
end $$;
comment on function queue_worker.find_report(text) is
  'The function of a report by its name, from the catalog; raises QW002 when there is none, more than one, or one that cannot be a report.';

create or replace function queue_worker.report_parameters(callable regprocedure)
returns table (place int, name text, type regtype, mode text, required boolean, preset text)
language sql stable set search_path = '' as $$
  select a.place::int, a.name, a.type, a.mode, a.number <= p.pronargs - p.pronargdefaults,
    pg_get_function_arg_default(p.oid, a.place::int)
  from pg_catalog.pg_proc p, lateral (
    select t.place, coalesce(p.proargnames[t.place], '') as name, t.type::regtype as type, coalesce(p.proargmodes[t.place], 'i') as mode,
      row_number() over (order by t.place) as number
    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality t(type, place)
    where coalesce(p.proargmodes[t.place], 'i') in ('i', 'b', 'v')) a
  where p.oid = callable
$$;
comment on function queue_worker.report_parameters(regprocedure) is
  'What a function takes: names and types, whether each must be given, and the expression it has otherwise.';

create or replace function queue_worker.report_columns(callable regprocedure)
returns table (place int, name text, type regtype)
language sql stable set search_path = '' as $$
  select row_number() over (order by c.place)::int, c.name,
    coalesce(nullif((select d.typbasetype from pg_catalog.pg_type d where d.oid = c.type), 0), c.type)::regtype
  from pg_catalog.pg_proc p join pg_catalog.pg_type t on t.oid = p.prorettype, lateral (
    select o.place, coalesce(nullif(p.proargnames[o.place], ''), 'column' || o.place) as name, o.type
    from unnest(p.proallargtypes) with ordinality o(type, place) where p.proargmodes[o.place] in ('o', 'b', 't')
    union all
    select a.attnum, a.attname, a.atttypid from pg_catalog.pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    union all
    select 1, p.proname, p.prorettype
    where t.typtype not in ('c', 'p') and not coalesce(p.proargmodes && '{o,b,t}'::"char"[], false)) c
  where p.oid = callable
$$;
comment on function queue_worker.report_columns(regprocedure) is
  'The columns a function returns, in order; none for one that does not declare them. A domain counts as the type it is made of.';

create or replace function queue_worker.report_may_pass(state text) returns boolean
language sql immutable set search_path = '' as $$ select queue_worker.is_transient(state) and state not like '25%' $$;
comment on function queue_worker.report_may_pass(text) is
  'Whether an SQLSTATE in a report speaks of a passing trouble; 25006, that it tries to write, does not.';

-- Parameters are made of text by their types, as a message has only JSON. What is not given gets the declared expression, once, so that the
-- file can say what it was made with.
create or replace function queue_worker.report_values(callable regprocedure, given jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  parameter record;
  kind regtype;
  value text;
  made jsonb := '{}';
  strangers text;
begin
  if coalesce(jsonb_typeof(given), 'object') <> 'object' then
    raise exception 'queue-worker: params must be an object' using errcode = 'QW002', hint = 'For example: "params": {"since": "2026-11-01"}.';
  end if;
  select string_agg(to_jsonb(k.name)::text, ', ') into strangers from jsonb_object_keys(given) k(name)
  where k.name not in (select a.name from queue_worker.report_parameters(callable) a);
  if strangers is not null then
    raise exception 'queue-worker: this report has no parameter %; it takes: %', left(strangers, 200), coalesce((
      select string_agg(a.name || ' ' || a.type, ', ' order by a.place) from queue_worker.report_parameters(callable) a), 'none')
      using errcode = 'QW002', hint = 'Names are compared exactly.';
  end if;
  for parameter in select * from queue_worker.report_parameters(callable) a order by a.place loop
    kind := parameter.type;
    if given ? parameter.name then
      value := case
        when jsonb_typeof(given -> parameter.name) = 'array' and kind::text ~ '\[\]$' then
          (select coalesce(array_agg(e.v order by e.n), '{}')::text
           from jsonb_array_elements_text(given -> parameter.name) with ordinality e(v, n))
        when kind in ('json', 'jsonb') then (given -> parameter.name)::text
        else given ->> parameter.name end;
      begin
        perform set_config('transaction_read_only', 'on', true); -- until this block ends
        execute format('select (%L::%s)::text', value, kind) into value;
      exception when others then
        if queue_worker.report_may_pass(sqlstate) then
          raise;
        end if;
        raise exception 'queue-worker: parameter "%" is no %: %', parameter.name, kind, sqlerrm
          using errcode = 'QW002', hint = 'Give it as PostgreSQL writes values of this type.';
      end;
    elsif parameter.required then
      raise exception 'queue-worker: parameter "%" (%) is missing', parameter.name, kind
        using errcode = 'QW002', hint = format('Give it in params, or give the function a default for it: %s default ….', parameter.name);
    else
      begin
        perform set_config('transaction_read_only', 'on', true);
        execute format('select (%s)::text', queue_worker.report_preset(callable, parameter.place)) into value;
      exception when others then
        if queue_worker.report_may_pass(sqlstate) then
          raise;
        end if;
        raise exception 'queue-worker: the default of parameter "%" cannot be used: %', parameter.name, sqlerrm
          using errcode = 'QW002', hint = 'Mend it in the declaration of the function.';
      end;
    end if;
    made := made || jsonb_build_object(parameter.name, value);
  end loop;
  return made;
end $$;
comment on function queue_worker.report_values(regprocedure, jsonb) is
  'The value of each parameter as text, given or by default. Raises QW002 for what the function does not declare, lacks or cannot be cast.';

create or replace function queue_worker.check_period(callable regprocedure, made jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  kind regtype;
  is_backwards boolean;
begin
  select a.type into kind from queue_worker.report_parameters(callable) a join queue_worker.report_parameters(callable) b on b.type = a.type
  where a.name = 'since' and b.name = 'until' and a.type in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype);
  if kind is null then
    return;
  end if;
  execute format('select %L::%s > %L::%s', made ->> 'since', kind, made ->> 'until', kind) into is_backwards;
  if is_backwards then
    raise exception 'queue-worker: the period begins (since: %) after its end (until: %)', made ->> 'since', made ->> 'until'
      using errcode = 'QW002', hint = 'Give both in params, the earlier one as since; what is not given has the default of the report.';
  end if;
end $$;
comment on function queue_worker.check_period(regprocedure, jsonb) is
  'Raises QW002 where since is after until, for a report that takes both as dates or moments: an empty file would look like an answer.';

create or replace function queue_worker.report_preset(callable regprocedure, place int) returns text
language sql stable set search_path = '' as $$
  select a.preset from queue_worker.report_parameters(callable) a where a.place = $2
$$;
comment on function queue_worker.report_preset(regprocedure, int) is 'What a parameter is when it is not given, as SQL out of the catalog.';

create or replace function queue_worker.report_call(callable regprocedure, made jsonb) returns text
language sql stable set search_path = '' as $$
  select format('reports.%I(%s)', p.proname, (
    select string_agg(format('%I => %L::%s', a.name, made ->> a.name, a.type), ', ' order by a.place)
    from queue_worker.report_parameters(callable) a))
  from pg_catalog.pg_proc p where p.oid = callable
$$;
comment on function queue_worker.report_call(regprocedure, jsonb) is 'The call of a report with these values, as SQL, everything in it quoted.';

create or replace function queue_worker.report_cells(callable regprocedure) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('r.c%s::text', c.place), ', ' order by c.place) from queue_worker.report_columns(callable) c
$$;
comment on function queue_worker.report_cells(regprocedure) is 'The columns of a report as a list of texts, as SQL.';

create or replace function queue_worker.report_aliases(callable regprocedure) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('c%s', c.place), ', ' order by c.place) from queue_worker.report_columns(callable) c
$$;
comment on function queue_worker.report_aliases(regprocedure) is 'The names report_cells has for the columns of a report, as SQL.';
