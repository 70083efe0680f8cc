-- queue-worker, 9: retention. What is deleted is judged and deleted in one statement, so that a message which is moved meanwhile
-- (to the dead letters, or back) is seen in one place or the other.

create or replace function queue_worker.is_waiting(queue text, msg_id bigint, enqueued_at timestamptz) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  source constant regclass := queue_worker.queue_table(queue);
  is_there boolean := false;
begin
  if source is not null then
    execute format('select exists (select 1 from %s m where m.msg_id = $1 and ($2 is null or m.enqueued_at = $2))', source) into is_there using msg_id, enqueued_at;
  end if;
  return is_there;
end $$;
comment on function queue_worker.is_waiting(text, bigint, timestamptz) is 'Whether a message is in its queue.';

create or replace function queue_worker.is_needed(kind text, entry jsonb) returns boolean
language sql stable set search_path = '' as $$
  select case
    when kind in ('outcomes', 'isolations', 'origins') then
      queue_worker.is_waiting(entry ->> 'queue', (entry ->> 'msg_id')::bigint, (entry ->> 'enqueued_at')::timestamptz)
      or (select f.dead_msg_id is not null from queue_worker.find_letter(entry ->> 'queue',
        queue_worker.origin_key(entry ->> 'queue', (entry ->> 'msg_id')::bigint, (entry ->> 'enqueued_at')::timestamptz), null) f)
    when kind = 'sent_keys' then queue_worker.is_waiting(entry ->> 'queue', (entry ->> 'msg_id')::bigint, null)
    else false end
$$;
comment on function queue_worker.is_needed(text, jsonb) is 'Whether a row of ours belongs to a message that still is in its queue or among its dead letters.';

-- A computed key cannot be turned back into a message, so those of the messages are computed that can be old enough.
create or replace function queue_worker.needed_keys(origin_keys text[], before timestamptz) returns setof text
language plpgsql stable set search_path = '' as $$
declare
  name text;
begin
  return query select o.origin_key from queue_worker.origins o
    where o.origin_key = any (origin_keys) and queue_worker.is_waiting(o.queue, o.msg_id, o.enqueued_at);
  for name in select n from queue_worker.queue_names() n loop
    -- What is called like a dead-letter queue may be read as any other.
    return query execute format($q$
      select c.origin_key from (
        select queue_worker.computed_origin_key($2, m.msg_id, m.enqueued_at) as origin_key from %s m where m.read_ct > 0 and m.enqueued_at < $3) c
      where c.origin_key = any ($1)
      $q$, queue_worker.queue_table(name)) using origin_keys, name, before;
    if name ~ '_dlq$' then -- one join: somebody's own table of that name has no index for it
      return query execute format($q$
        select k from unnest($1) k join %s d on d.message -> 'dead_letter' ->> 'origin_key' = k
        $q$, queue_worker.queue_table(name)) using origin_keys;
      if queue_worker.archive_table(name) is not null then -- discarded ones, which can be put back
        return query execute format($q$
          select k from unnest($1) k join %s d on d.message -> 'dead_letter' ->> 'origin_key' = k
          $q$, queue_worker.archive_table(name)) using origin_keys;
      end if;
    end if;
  end loop;
end $$;
comment on function queue_worker.needed_keys(text[], timestamptz) is
  'Those of these origin keys whose messages still are in a queue, among dead letters or among discarded ones; for keys that were in use before a time.';

create or replace function queue_worker.prune_rows(
  kind text, relation regclass, stamp text, cutoff timestamptz, after timestamptz, most int, out deleted bigint, out next timestamptz)
language plpgsql set search_path = '' as $$
begin
  execute format($q$
    with bound as materialized (
      select max(x.stamp) as stamp, count(*) as seen from (
        select r.%2$I as stamp from %1$s r where r.%2$I > $1 and r.%2$I < $2 order by r.%2$I limit $3) x),
    chosen as materialized (
      select r.ctid from %1$s r where r.%2$I > $1 and r.%2$I <= (select b.stamp from bound b) and not case when $4 like 'archive of %%' then false else queue_worker.is_needed($4, to_jsonb(r)) end
      for update skip locked),
    gone as (delete from %1$s r where r.ctid = any (array(select c.ctid from chosen c)) returning 1)
    select (select count(*) from gone), case when b.seen = $3 then b.stamp end from bound b
    $q$, relation, stamp) into deleted, next using after, cutoff, most, kind;
end $$;
comment on function queue_worker.prune_rows(text, regclass, text, timestamptz, timestamptz, int) is
  'Looks at the oldest rows of a table after one time and before another, about `most` of them, and deletes those that are not needed. '
  'next: where to go on; null when there are no more.';

create or replace function queue_worker.prune_ledger(cutoff timestamptz, after timestamptz, most int, out deleted bigint, out next timestamptz)
language plpgsql set search_path = '' as $$
begin
  with bound as materialized (
    select max(x.started_at) as stamp, count(*) as seen from (
      select l.started_at from queue_worker.ledger l where l.started_at > after and l.started_at < cutoff order by l.started_at limit most) x),
  old as materialized (
    select l.origin_key from queue_worker.ledger l where l.started_at > after and l.started_at <= (select b.stamp from bound b)),
  needed as materialized (
    select k.origin_key from queue_worker.needed_keys(array(select o.origin_key from old o), cutoff) k(origin_key) where exists (select 1 from old)),
  chosen as materialized (
    select l.ctid from queue_worker.ledger l where l.started_at > after and l.started_at <= (select b.stamp from bound b)
      and l.origin_key not in (select n.origin_key from needed n) for update skip locked),
  gone as (delete from queue_worker.ledger l where l.ctid = any (array(select c.ctid from chosen c)) returning 1)
  select (select count(*) from gone), case when b.seen = most then b.stamp end into deleted, next from bound b;
end $$;
comment on function queue_worker.prune_ledger(timestamptz, timestamptz, int) is
  'prune_rows for the ledger, whose rows belong to a message by its origin key alone.';

create or replace function queue_worker.prune(request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  days constant int := coalesce((request ->> 'days')::int, 30);
  most constant int := least(greatest(coalesce((request ->> 'limit')::int, 1000), 1), 10000);
  asked constant jsonb := nullif(request -> 'archive_days', 'null');
  resume constant jsonb := nullif(request -> 'after', 'null');
  target record;
  bite record;
  deleted jsonb := '{}';
  next jsonb := '{}';
begin
  if days < 0 or exists (select 1 from jsonb_each_text(asked) a where a.value::int < 0) then
    raise exception 'queue-worker: records cannot be kept for less than no time' using errcode = 'QW002', hint = 'Give a number of days; 0 keeps them for ever.';
  end if;
  -- One at a time: a second one would only look at the same rows. The first goes on, so this one need not.
  if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('queue_worker.prune')) then
    return '{"deleted": {}, "next": null}';
  end if;
  for target in
    select t.kind, format('queue_worker.%I', t.kind)::regclass as relation, t.stamp, days as kept
    from (values ('outcomes', 'recorded_at'), ('isolations', 'started_at'), ('ledger', 'started_at'), ('stats', 'minute'), ('sent_keys', 'sent_at'),
      ('origins', 'enqueued_at'), ('workers', 'seen_at'), ('arrivals', 'minute'), ('audit', 'at')) t(kind, stamp)
    union all
    select 'archive of ' || n.queue, queue_worker.archive_table(n.queue), 'archived_at', coalesce((asked ->> n.queue)::int, q.archive_retention_days)
    from queue_worker.queue_names() n(queue) left join queue_worker.queues q on q.queue = n.queue
    where queue_worker.archive_table(n.queue) is not null
  loop
    continue when coalesce(target.kept, 0) = 0 or (resume is not null and not resume ? target.kind);
    if target.kind = 'ledger' then
      select * into bite from queue_worker.prune_ledger(now() - make_interval(days => target.kept),
        coalesce((resume ->> target.kind)::timestamptz, '-infinity'), most);
    else
      select * into bite from queue_worker.prune_rows(target.kind, target.relation, target.stamp, now() - make_interval(days => target.kept),
        coalesce((resume ->> target.kind)::timestamptz, '-infinity'), most);
    end if;
    if bite.deleted > 0 then
      deleted := deleted || jsonb_build_object(target.kind, bite.deleted);
    end if;
    if bite.next is not null then
      next := next || jsonb_build_object(target.kind, bite.next);
    end if;
  end loop;
  return jsonb_build_object('deleted', deleted, 'next', nullif(next, '{}'));
end $$;
comment on function queue_worker.prune(jsonb) is
  'Deletes records older than days (30; 0: none) that belong to no message in a queue or among dead letters: outcomes, isolations, ledger, stats, '
  'sent_keys, origins, workers, arrivals, audit; and archived messages of the queues with archive_days {queue: days} or queues.archive_retention_days. Looks at limit '
  '(1000, at most 10000) rows of each. Returns {deleted: {what: rows}, next}: call again with "after": next until that is null. Raises QW002.';
