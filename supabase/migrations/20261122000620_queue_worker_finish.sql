-- queue-worker, 6: settling what succeeded, many deliveries of one queue at once.

create or replace function queue_worker.archive_columns(queue text) returns text
language sql stable set search_path = '' as $$
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_attribute b on b.attname = a.attname and b.attrelid = queue_worker.archive_table(queue) and not b.attisdropped
  where a.attrelid = queue_worker.queue_table(queue) and a.attnum > 0 and not a.attisdropped
$$;
comment on function queue_worker.archive_columns(text) is
  'The columns that a queue and its archive both have in this pgmq version, quoted, as a list.';

create or replace function queue_worker.add_stats(queue text, outcomes text[], ran_ms float8[], waited_ms float8[]) returns void
language sql set search_path = '' as $$
  insert into queue_worker.stats as s (queue, minute, backend, archived, deleted, retried, dead, released, snoozed,
    ran_ms, ran_ms_max, waited_ms, waited_ms_max)
  select $1, date_trunc('minute', now()), pg_backend_pid(),
    count(*) filter (where x.outcome = 'archive'), count(*) filter (where x.outcome = 'delete'),
    count(*) filter (where x.outcome = 'retry'), count(*) filter (where x.outcome = 'dead'),
    count(*) filter (where x.outcome = 'release'), count(*) filter (where x.outcome = 'snooze'),
    coalesce(sum(x.ran_ms), 0), coalesce(max(x.ran_ms), 0), coalesce(sum(x.waited_ms), 0), coalesce(max(x.waited_ms), 0)
  from unnest(outcomes, ran_ms, waited_ms) x(outcome, ran_ms, waited_ms) having count(*) > 0
  on conflict on constraint stats_pkey do update set archived = s.archived + excluded.archived,
    deleted = s.deleted + excluded.deleted, retried = s.retried + excluded.retried, dead = s.dead + excluded.dead,
    released = s.released + excluded.released, snoozed = s.snoozed + excluded.snoozed,
    ran_ms = s.ran_ms + excluded.ran_ms, ran_ms_max = greatest(s.ran_ms_max, excluded.ran_ms_max),
    waited_ms = s.waited_ms + excluded.waited_ms, waited_ms_max = greatest(s.waited_ms_max, excluded.waited_ms_max)
$$;
comment on function queue_worker.add_stats(text, text[], float8[], float8[]) is 'Counts settled deliveries into the stats of this minute.';

-- What nearly every settle is: deliveries that all succeeded and still hold their messages. The ids are given as a list, and the index
-- finds them in its order: a join would scan the table, and lock rows in an order in which two settles can lock each other up. What somebody recorded while the delete waited for a row shows only to
-- the next statement, so that is where outcomes are looked up.
create or replace function queue_worker.finish(queue text, outcome text, msg_ids bigint[], deliveries int[], enqueued_ats timestamptz[],
  ran_ms float8[], waited_ms float8[]) returns boolean
language plpgsql set search_path = '' set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  archive constant regclass := queue_worker.archive_table(queue);
  done bigint;
begin
  if queue !~ '^[a-z0-9_-]{1,43}$' or source is null or not (outcome = 'delete' or outcome = 'archive' and archive is not null) then
    return false;
  end if;
  if outcome = 'delete' then
    execute format($q$
      delete from %s m where m.msg_id = any ($1) and ((m.msg_id, m.read_ct, m.enqueued_at) in (select * from unnest($1, $2, $3))) is true
      $q$, source) using msg_ids, deliveries, enqueued_ats;
  else
    execute format($q$
      with gone as (
        delete from %1$s m where m.msg_id = any ($1) and ((m.msg_id, m.read_ct, m.enqueued_at) in (select * from unnest($1, $2, $3))) is true
        returning %3$s
      ) insert into %2$s (%3$s) select %3$s from gone
      $q$, source, archive, queue_worker.archive_columns(queue)) using msg_ids, deliveries, enqueued_ats;
  end if;
  get diagnostics done = row_count;
  -- First whether any of that range has outcomes at all, which is one look instead of one for each delivery.
  if done <> cardinality(msg_ids) or exists (
    select 1 from queue_worker.outcomes o where o.queue = finish.queue
      and o.msg_id between (select min(i) from unnest(msg_ids) i) and (select max(i) from unnest(msg_ids) i))
    and exists (
    select 1 from unnest(msg_ids, deliveries, enqueued_ats) i(msg_id, delivery, enqueued_at)
    join queue_worker.outcomes o on o.queue = finish.queue and o.msg_id = i.msg_id and o.enqueued_at = i.enqueued_at
      and o.delivery = i.delivery)
  then
    raise exception 'not all of these deliveries can be finished' using errcode = 'QW900';
  end if;
  perform queue_worker.add_stats(queue, array_fill(outcome, array[cardinality(msg_ids)]), ran_ms, waited_ms);
  return true;
exception when others then
  if queue_worker.is_transient(sqlstate) then
    raise;
  end if;
  return false;
end $$;
comment on function queue_worker.finish(text, text, bigint[], int[], timestamptz[], float8[], float8[]) is
  'Archives or deletes all of these deliveries of one queue and returns true; or does nothing and returns false, when one of them does '
  'not pass the fence or cannot be done. Faster than settle_queue, which then finds out which. ran_ms and waited_ms may hold nulls.';

create or replace function queue_worker.finish_or_settle(worker text, queue text, outcome text, msg_ids bigint[], deliveries int[],
  enqueued_ats timestamptz[], ran_ms float8[], waited_ms float8[]) returns jsonb
language plpgsql set search_path = '' as $$
begin
  if queue_worker.finish(queue, outcome, msg_ids, deliveries, enqueued_ats, ran_ms, waited_ms) then
    return null;
  end if;
  return queue_worker.settle((
    select jsonb_agg(jsonb_build_object('queue', $2, 'outcome', $3, 'msg_id', i.msg_id, 'delivery', i.delivery,
      'enqueued_at', i.enqueued_at, 'ran_ms', i.ran_ms, 'waited_ms', i.waited_ms) order by i.place)
    from rows from (unnest(msg_ids, deliveries, enqueued_ats, ran_ms, waited_ms))
      with ordinality i(msg_id, delivery, enqueued_at, ran_ms, waited_ms, place)), worker);
end $$;
comment on function queue_worker.finish_or_settle(text, text, text, bigint[], int[], timestamptz[], float8[], float8[]) is
  'finish; and where that cannot be done for all, settle. Returns null when all are ok, else what settle returns.';
