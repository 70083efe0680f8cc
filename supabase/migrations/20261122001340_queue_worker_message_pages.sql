-- queue-worker, 13: pages of messages by state. Each is read off an index in its order, from where the page before ended: the thousandth costs
-- what the first does.

-- What is searched, and what of a dead letter is told. Letters that somebody else put there have no original.
create or replace function queue_worker.original(message jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select case when message -> 'dead_letter' is not null and message -> 'message' is not null then message -> 'message' else message end
$$;
comment on function queue_worker.original(jsonb) is 'The message that died, out of a dead letter; any other message as it is.';

create or replace function queue_worker.page_source(queue text, state text, out source regclass, out stamp text, out kind text, out side text, out is_state text)
language plpgsql stable set search_path = '' as $fn$
begin
  source := case state when 'dead' then queue_worker.queue_table(queue_worker.dead_letter_queue(queue))
    when 'archived' then queue_worker.archive_table(queue) else queue_worker.queue_table(queue) end;
  stamp := case state when 'dead' then 'msg_id' when 'archived' then 'archived_at' else 'vt' end;
  kind := case state when 'dead' then 'bigint' else 'timestamptz' end;
  side := case when state = 'ready' then 'm.vt <= $4' when stamp = 'vt' then 'm.vt > $4' else 'true' end;
  is_state := case state when 'in_flight' then 'b.read_ct > 0 and o.outcome is null'
    when 'delayed' then $$(b.read_ct = 0 or o.outcome in ('snooze', 'release'))$$ when 'retrying' then $$o.outcome = 'retry'$$ else 'true' end;
end $fn$;
comment on function queue_worker.page_source(text, text) is
  'Where messages of a state are: their table, the column whose index has their order and its type, on which side of now they are, and how they are '
  'told from others there. source is null when there is no such table.';

-- One bite: so many rows in the order of the index, and of those the lines that fit.
create or replace function queue_worker.page_query(queue text, state text, filter jsonb) returns text
language plpgsql stable set search_path = '' as $fn$
declare
  place constant record := queue_worker.page_source(queue, state);
  is_dead constant boolean := state = 'dead';
  runs_back constant boolean := state in ('dead', 'archived');
  born constant text := case when is_dead then 'm.enqueued_at' else 'm.' || place.stamp end;
  payload constant text := case when is_dead then 'queue_worker.original(b.message)' else 'b.message' end;
  letter constant text := $$b.message -> 'dead_letter'$$;
  error constant text := case when is_dead then letter || $$ ->> 'error'$$ else 'l.error' end;
begin
  return format($q$
    with bite as materialized (
      select x.*, row_number() over () as place from (
        select m.msg_id, m.enqueued_at, m.read_ct, m.%1$s as at, m.message
        from %3$s m where %4$s and ($1 is null or m.%1$s %5$s $1::%6$s) %7$s
        order by m.%1$s %2$s offset $2 limit $3) x),
    fitting as (
      select b.place, b.msg_id, coalesce(pg_catalog.pg_column_size(b.message), 0) as stored, %8$s as payload, b.enqueued_at, b.read_ct, b.at, b.message, l.error, l.worker_id
      from bite b
      left join queue_worker.outcomes o on b.read_ct > 0 and o.queue = $6 and o.msg_id = b.msg_id and o.enqueued_at = b.enqueued_at and o.delivery = b.read_ct
      left join lateral (select x.error, x.worker_id from queue_worker.outcomes x where x.queue = $6 and x.msg_id = b.msg_id
        and x.enqueued_at = b.enqueued_at and x.error is not null order by x.delivery desc limit 1) l on b.read_ct > 0
      where %9$s %10$s order by b.place limit $7),
    shown as (select f.* from (select x.*, sum(x.stored) over (order by x.place) - x.stored as before from fitting x) f where f.before <= $8),
    lines as (
      select count(*) as n, coalesce(sum(s.stored), 0) as stored, max(s.place) as last, to_jsonb(array_agg(jsonb_build_object(
        'msg_id', s.msg_id::text, 'enqueued_at', %11$s, 'at', %12$s, 'deliveries', %13$s, 'failures', %14$s, 'error', %15$s, 'reason', %16$s,
        'worker_id', %17$s, 'preview', left(j.json, 300), 'bytes', octet_length(j.json)) order by s.place)) as shown
      from shown s cross join lateral (select coalesce(s.payload::text, 'null') as json offset 0) j),
    ended as (
      select l.*, (select count(*) from bite) as looked, (select count(*) from fitting) as fit,
        case when l.n = $7 or l.n < (select count(*) from fitting) then l.last else (select count(*) from bite) end as upto from lines l)
    select e.stored, coalesce(e.shown, '[]') as lines, e.upto, e.looked, b.at::text, (select count(*) from bite x where x.at = b.at and x.place <= e.upto) as known
    from ended e left join bite b on b.place = e.upto
    $q$, place.stamp, case when runs_back then 'desc' else '' end, place.source, place.side, case when runs_back then '<=' else '>=' end, place.kind,
    case when filter ->> 'since' is not null then format('and %s >= ($5 ->> ''since'')::timestamptz ', born) else '' end
      || case when filter ->> 'before' is not null then format('and %s < ($5 ->> ''before'')::timestamptz', born) else '' end,
    payload, place.is_state,
    case when filter #>> '{search,value}' is not null then format($f$and %s #>> array(select jsonb_array_elements_text($5 #> '{search,path}')) = $5 #>> '{search,value}' $f$, payload) else '' end
      || case when filter ->> 'text' is not null then format($f$and position(lower($5 ->> 'text') in lower(%s::text)) > 0 $f$, payload) else '' end
      || case when filter ->> 'error' is not null then format($f$and position(lower($5 ->> 'error') in lower(%s)) > 0 $f$, error) else '' end
      || case when filter ->> 'reason' is not null then format($f$and %s ->> 'reason' = $5 ->> 'reason'$f$, letter) else '' end,
    case when is_dead then $$coalesce(s.message -> 'dead_letter' -> 'enqueued_at', to_jsonb(s.enqueued_at))$$ else 's.enqueued_at' end,
    case when is_dead then $$coalesce(s.message -> 'dead_letter' -> 'dead_at', to_jsonb(s.enqueued_at))$$ else 's.at' end,
    case when is_dead then $$coalesce((s.message -> 'dead_letter' ->> 'deliveries')::int, s.read_ct)$$ else 's.read_ct' end,
    case when is_dead then $$coalesce((s.message -> 'dead_letter' ->> 'attempts')::int, 0)$$ else $$case when s.read_ct = 0 then 0 else (select count(*)
      from queue_worker.outcomes x where x.queue = $6 and x.msg_id = s.msg_id and x.enqueued_at = s.enqueued_at and x.outcome = 'retry') end$$ end,
    case when is_dead then $$s.message -> 'dead_letter' ->> 'error'$$ else 's.error' end,
    case when is_dead then $$s.message -> 'dead_letter' ->> 'reason'$$ else 'null' end,
    case state when 'dead' then $$s.message -> 'dead_letter' ->> 'worker_id'$$ when 'in_flight' then 'null' else 's.worker_id' end);
end $fn$;
comment on function queue_worker.page_query(text, text, jsonb) is
  'The statement that looks at one bite of message_page. $1: where it begins, $2: how many rows at that very place are known already, $3: how many to '
  'look at, $4: now, $5: the filter, $6: the queue, $7: how many lines at most, $8: how many bytes of payload at most.';
