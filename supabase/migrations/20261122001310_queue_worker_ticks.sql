-- queue-worker, 13: ticks: sending the runs of schedules that are due. When a schedule runs is told by a scheduler, which can read cron
-- expressions; whether it may be sent is decided here, under the schedule's lock.

create or replace function queue_worker.send_run(schedule queue_worker.schedules, run_at timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  told constant jsonb := jsonb_build_object('x-schedule', schedule.name,
    'x-run-at', to_char(run_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  sent record;
begin
  select * into sent from queue_worker.send_one(schedule.queue, schedule.message,
    case when queue_worker.has_column(queue_worker.queue_table(schedule.queue), 'headers')
      then coalesce(schedule.headers, '{}') || told else schedule.headers end);
  insert into queue_worker.ticks (schedule, run_at, queue, msg_id) values (schedule.name, run_at, schedule.queue, sent.msg_id);
end $$;
comment on function queue_worker.send_run(queue_worker.schedules, timestamptz) is
  'Sends the message of one run, with the headers x-schedule and x-run-at where pgmq has headers, and makes its tick. '
  'Errors: see send_one; 23505 when that run was sent before.';

create or replace function queue_worker.apply_plan(plan jsonb) returns jsonb
language plpgsql set search_path = '' set lock_timeout = '2s' as $$
declare
  again constant interval := '10 seconds'; -- several times before its runs count as missed, which is after a minute
  kept constant interval := '30 days';
  present constant timestamptz := queue_worker.clock();
  asked record;
  found_as queue_worker.schedules;
  run timestamptz;
  wrong text;
  remedy text;
  sent int := 0;
begin
  select * into asked from jsonb_to_record(plan) as x(name text, revision uuid, ran_until timestamptz, runs timestamptz[],
    through timestamptz, next_run_at timestamptz, error text);
  if asked.name is null or asked.error is null and (asked.runs is null or asked.through is null) or cardinality(asked.runs) > 1000 then
    raise exception 'queue-worker: a plan needs a name, runs (at most 1000) and through, or a name and an error' using errcode = 'QW002';
  end if;
  -- Locked by another scheduler, or by somebody who changes it: that one decides, and nobody waits for it.
  select s.* into found_as from queue_worker.schedules s where s.name = asked.name for update skip locked;
  if found_as.name is null or not found_as.enabled or found_as.revision is distinct from asked.revision
    or found_as.ran_until is distinct from asked.ran_until or asked.through < found_as.ran_until or asked.through > present
    or exists (select 1 from unnest(asked.runs) r where r is null or r <= found_as.ran_until or r > asked.through)
  then
    return jsonb_build_object('name', asked.name, 'status', 'changed');
  end if;
  wrong := asked.error;
  if wrong is null then
    begin
      foreach run in array asked.runs loop
        if not exists (select 1 from queue_worker.ticks t where t.schedule = found_as.name and t.run_at = run) then
          perform queue_worker.send_run(found_as, run);
          sent := sent + 1;
        end if;
      end loop;
    exception when others then
      -- A lock is this queue's trouble alone; waiting for it would hold up the other schedules.
      if queue_worker.is_transient(sqlstate) and sqlstate <> '55P03' then
        raise;
      end if;
      get stacked diagnostics remedy = pg_exception_hint;
      wrong := concat_ws('. ', sqlerrm, nullif(remedy, ''));
    end;
  end if;
  if wrong is not null then -- its runs are still to be sent, when it is mended; after a minute as missed ones
    update queue_worker.schedules s set last_error = left(wrong, 600), next_run_at = present + again where s.name = found_as.name;
    return jsonb_build_object('name', found_as.name, 'status', 'failed', 'error', left(wrong, 600),
      'is_news', found_as.last_error is distinct from left(wrong, 600));
  end if;
  update queue_worker.schedules s set ran_until = asked.through, next_run_at = coalesce(asked.next_run_at, 'infinity'), last_error = null
  where s.name = found_as.name;
  if sent > 0 then
    delete from queue_worker.ticks t where t.schedule = found_as.name and t.run_at = any (array(
      select x.run_at from queue_worker.ticks x
      where x.schedule = found_as.name and x.run_at < now() - kept and x.sent_at < now() - kept order by x.run_at limit 2 * sent));
  end if;
  return jsonb_build_object('name', found_as.name, 'status', 'ok', 'sent', sent);
end $$;
comment on function queue_worker.apply_plan(jsonb) is
  'Sends runs of one schedule and makes their ticks, if it is still as the scheduler saw it: {name, revision, ran_until, runs, through, next_run_at?}, '
  'or records that it cannot run: {name, revision, ran_until, error}. Returns {name, status}: ok (with sent), changed (nothing was done) or '
  'failed (with error and is_news; it is tried again after ten seconds).';

create or replace function queue_worker.tick(plans jsonb, max_due int) returns jsonb
language plpgsql set search_path = '' as $$
declare
  applied jsonb;
  present timestamptz;
begin
  if jsonb_array_length(plans) > 100 then
    raise exception 'queue-worker: at most 100 plans' using errcode = 'QW002';
  end if;
  select jsonb_agg(queue_worker.apply_plan(p.value) order by p.ordinality) into applied
  from jsonb_array_elements(plans) with ordinality p;
  present := queue_worker.clock();
  return jsonb_build_object('applied', coalesce(applied, '[]'), 'now', present,
    'due', coalesce((
      select jsonb_agg(jsonb_build_object('name', d.name, 'cron', d.cron, 'timezone', d.timezone, 'missed', d.missed,
        'revision', d.revision, 'ran_until', d.ran_until) order by d.next_run_at nulls first, d.name)
      from (select * from queue_worker.schedules s where s.enabled and (s.next_run_at is null or s.next_run_at <= present)
        order by s.next_run_at nulls first, s.name limit least(greatest(coalesce(max_due, 100), 1), 100)) d), '[]'),
    'next_in_ms', (
      select extract(epoch from min(s.next_run_at) - present) * 1000 from queue_worker.schedules s
      where s.enabled and s.next_run_at > present and isfinite(s.next_run_at)));
end $$;
comment on function queue_worker.tick(jsonb, int) is
  'What a scheduler asks for again and again: applies its plans (see apply_plan), and returns {applied, now, due: [{name, cron, timezone, missed, '
  'revision, ran_until}], next_in_ms}: the schedules to be planned now, and when the next one is (null: none).';

do $do$
declare
  entry record;
begin
  for entry in select * from (values
    ('schedules', 'queue_worker.schedule_list()', 'All schedules: {protocol}; returns {now, schedules}. See queue_worker.schedule_list.'),
    ('schedule_put', 'to_jsonb(queue_worker.schedule_put(request))',
      'Adds or changes a schedule: {protocol, name, cron, timezone?, queue, message, headers?, enabled?, missed?}. See queue_worker.schedule_put.'),
    ('schedule_remove', 'to_jsonb(queue_worker.schedule_remove(request ->> ''name''))', 'Removes a schedule: {protocol, name}; false: there is none.'),
    ('schedule_enable', 'to_jsonb(queue_worker.schedule_enable(request ->> ''name'', (request ->> ''enabled'')::boolean))',
      'Pauses or resumes a schedule: {protocol, name, enabled}; false: there is none.'),
    ('tick', $$queue_worker.tick(case when request ->> 'plans' is null then '[]' else queue_worker.list_in(request, 'plans') end,
      (request ->> 'max_due')::int)$$, 'Sends the runs of schedules that are due: {protocol, plans?, max_due?}. See queue_worker.tick.')
  ) as e(name, expression, purpose)
  loop
    perform queue_worker.make_entry_point(entry.name, entry.expression, entry.purpose);
  end loop;
end $do$;
