-- queue-worker, 8: dead letters: list, redrive, discard.

create or replace function queue_worker.dead_letter_table(queue text) returns regclass
language plpgsql stable set search_path = '' as $$
declare
  graveyard constant text := queue_worker.dead_letter_queue(queue_worker.check_queue_name(queue));
begin
  if queue_worker.queue_table(graveyard) is null then
    raise exception 'queue-worker: there is no dead-letter queue "%"', graveyard using errcode = 'QW003',
      hint = 'A worker creates it when it starts, or: select pgmq.create(''' || graveyard || ''');';
  end if;
  return queue_worker.queue_table(graveyard);
end $$;
comment on function queue_worker.dead_letter_table(text) is 'The table of a queue''s dead letters. Raises QW003 when it is missing.';

create or replace function queue_worker.bigints(list jsonb) returns bigint[]
language plpgsql immutable set search_path = '' as $$
begin
  if coalesce(jsonb_typeof(list), 'null') not in ('null', 'array') then
    raise exception 'queue-worker: ids must be an array' using errcode = 'QW002', hint = 'For example: "msg_ids": [41, 42].';
  end if;
  return case when jsonb_typeof(list) = 'array' -- an empty list means none, not all
    then coalesce((select array_agg(v.value::bigint) from jsonb_array_elements_text(list) v), '{}') end;
end $$;
comment on function queue_worker.bigints(jsonb) is 'A JSON array of numbers or digit strings as bigint[]; null for none. Raises QW002 for anything else.';

-- Only letters of our making are sent back: a message that somebody else put into the queue has no original.
-- No sort: it would look into all letters, of which each may be large, before the limit counts. The index on msg_id has their order.
create or replace function queue_worker.letter_ids(queue text, filter jsonb, max_letters int, to_take boolean, only_ours boolean) returns bigint[]
language plpgsql set search_path = '' set enable_sort = off as $$
declare
  ids bigint[];
begin
  execute format($q$
    select array_agg(c.msg_id) from (
      select d.msg_id from %s d
      where ($1 is null or d.msg_id = any ($1)) and d.msg_id > $2 and ($3 is null or d.msg_id <= $3)
        and ($4 is null or d.message -> 'dead_letter' ->> 'reason' = $4)
        and ($5 is null or position(lower($5) in lower(d.message -> 'dead_letter' ->> 'error')) > 0)
        and ($6 is null or d.enqueued_at >= $6) and ($7 is null or d.enqueued_at < $7)
        and (not $8 or d.message ? 'message' and d.message -> 'dead_letter' ->> 'queue' = $9)
      order by d.msg_id limit $10 %s) c
    $q$, queue_worker.dead_letter_table(queue), case when to_take then 'for update skip locked' else '' end)
  into ids using queue_worker.bigints(filter -> 'msg_ids'), coalesce((filter ->> 'after_id')::bigint, 0), (filter ->> 'up_to_id')::bigint,
    filter ->> 'reason', filter ->> 'error', (filter ->> 'since')::timestamptz, (filter ->> 'before')::timestamptz, only_ours, queue, max_letters;
  return coalesce(ids, '{}');
end $$;
comment on function queue_worker.letter_ids(text, jsonb, int, boolean, boolean) is
  'Ids of dead letters in id order: filter {msg_ids?, after_id?, up_to_id?, reason?, error? (a part of its text), since?, before? (when they '
  'died)}, at most max_letters (null: all). to_take: locks them and passes over those that another call holds.';

create or replace function queue_worker.most_letters(asked int) returns int
language sql immutable set search_path = '' as $$ select least(coalesce(asked, 100), 1000) $$;
comment on function queue_worker.most_letters(int) is 'How many dead letters one call handles: 100 unless asked for more, and at most 1000.';

-- Not jsonb_agg: its time grows with the square of the number of keys in a message (16,000 keys: 12 s against 20 ms).
create or replace function queue_worker.list_dead_letters(queue text, filter jsonb, max_letters int) returns jsonb
language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.dead_letter_table(queue);
  with_messages constant boolean := coalesce((filter ->> 'with_messages')::boolean, true);
  ids bigint[] := queue_worker.letter_ids(queue, filter, queue_worker.most_letters(max_letters), false, false);
  listed jsonb;
begin
  if with_messages then
    ids := ids[1 : (queue_worker.fitting(source, ids, coalesce((filter ->> 'max_bytes')::bigint, 8388608), true)).fits];
  end if;
  execute format($q$
    select to_jsonb(array_agg(jsonb_build_object('msg_id', d.msg_id::text, 'dead_letter', d.message -> 'dead_letter' %s) order by d.msg_id))
    from %s d where d.msg_id = any ($1)
    $q$, case when with_messages then ', ''message'', d.message -> ''message''' else '' end, source) into listed using ids;
  return coalesce(listed, '[]');
end $$;
comment on function queue_worker.list_dead_letters(text, jsonb, int) is
  'Dead letters of a queue in id order, chosen as letter_ids says, at most 1000 and as many as fit into max_bytes (8 MiB) of text, the first one '
  'regardless: [{msg_id, message, dead_letter}]. With with_messages false they have no message, and none is left out. What comes next: after_id.';

create or replace function queue_worker.count_dead_letters(queue text, filter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  source constant regclass := queue_worker.dead_letter_table(queue);
  most constant int := greatest(1, (filter ->> 'limit')::int);
  looked_at bigint[];
  ids bigint[];
  reasons jsonb;
  next text;
begin
  if filter ->> 'limit' is not null then
    looked_at := queue_worker.letter_ids(
      queue, (select jsonb_object_agg(f.key, f.value) from jsonb_each(filter) f where f.key in ('msg_ids', 'after_id', 'up_to_id')), most, false, false);
    if cardinality(looked_at) = most then
      next := looked_at[most];
      filter := filter || jsonb_build_object('up_to_id', next);
    end if;
  end if;
  ids := queue_worker.letter_ids(queue, filter, null, false, false);
  execute format($q$
    select jsonb_object_agg(c.reason, c.letters) from (
      select coalesce(d.message -> 'dead_letter' ->> 'reason', 'unknown') as reason, count(*) as letters from %s d where d.msg_id = any ($1) group by 1) c
    $q$, source) into reasons using ids;
  return jsonb_build_object(
    'letters', cardinality(ids), 'newest_id', ids[cardinality(ids)]::text, 'reasons', coalesce(reasons, '{}'), 'next', next);
end $$;
comment on function queue_worker.count_dead_letters(text, jsonb) is
  'How many dead letters a filter of letter_ids chooses: {letters, newest_id, reasons: {reason: letters}, next}. It looks at all of them, or, with a '
  'limit, at no more than so many whether they fit or not; then next is the after_id to go on from, null when none is left.';

create or replace function queue_worker.redrive(queue text, filter jsonb, max_letters int, forget boolean, per_second float8, delay_seconds float8)
returns jsonb language plpgsql set search_path = '' as $$
declare
  begun constant timestamptz := clock_timestamp();
  letter record;
  sent record;
  redriven jsonb := '[]';
begin
  if per_second <= 0 or per_second = 'NaN' or delay_seconds < 0 then
    raise exception 'queue-worker: a redrive cannot have this pace' using errcode = 'QW002', hint = 'Give "per_second" a number above 0, for example 50.';
  end if;
  for letter in execute format($q$
    with gone as (delete from %s m where m.msg_id = any ($1) returning m.msg_id, m.message)
    select g.msg_id, g.message, row_number() over (order by g.msg_id) - 1 as place from gone g order by g.msg_id
    $q$, queue_worker.dead_letter_table(queue))
    using queue_worker.letter_ids(queue, filter, queue_worker.most_letters(max_letters), true, true)
  loop
    select * into sent from queue_worker.send_one(queue, letter.message -> 'message', nullif(letter.message -> 'headers', 'null'),
      case when per_second is not null or delay_seconds is not null
        then begun + make_interval(secs => coalesce(delay_seconds, 0) + coalesce(letter.place / per_second, 0)) end,
      null, letter.message -> 'dead_letter' ->> 'origin_key');
    if forget then
      delete from queue_worker.ledger l
      where l.origin_key = letter.message -> 'dead_letter' ->> 'origin_key' and l.state = 'started';
    end if;
    redriven := redriven || jsonb_build_object('dead_msg_id', letter.msg_id::text, 'msg_id', sent.msg_id::text);
  end loop;
  return redriven;
end $$;
comment on function queue_worker.redrive(text, jsonb, int, boolean, float8, float8) is
  'Sends dead letters back to their queue, all or none, keeping their origin keys: those that letter_ids chooses, at most max_letters '
  '(100, at most 1000). forget: steps of unknown end may run again. per_second, delay_seconds: the first becomes visible after the delay, the '
  'others one by one at that rate. Returns [{dead_msg_id, msg_id}].';

create or replace function queue_worker.check_discard(filter jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if not coalesce((filter ->> 'all')::boolean, false) and not exists (
    select 1 from unnest(array['msg_ids', 'reason', 'error', 'since', 'before']) f where filter ->> f is not null) then
    raise exception 'queue-worker: which dead letters are to be discarded?' using errcode = 'QW002',
      hint = 'Give "msg_ids", "reason", "error", "since" or "before"; or "all": true.';
  end if;
end $$;
comment on function queue_worker.check_discard(jsonb) is 'Raises QW002 where letters are to be discarded without any choice and without {all: true}.';

create or replace function queue_worker.discard_dead_letters(queue text, filter jsonb, max_letters int) returns jsonb
language plpgsql set search_path = '' as $$
declare
  ids bigint[];
begin
  perform queue_worker.check_discard(filter);
  ids := queue_worker.letter_ids(queue, filter, queue_worker.most_letters(max_letters), true, false);
  execute format('delete from %s m where m.msg_id = any ($1)', queue_worker.dead_letter_table(queue)) using ids;
  return jsonb_build_object('discarded', cardinality(ids), 'last_id', ids[cardinality(ids)]::text);
end $$;
comment on function queue_worker.discard_dead_letters(text, jsonb, int) is
  'Deletes dead letters for good: those that letter_ids chooses, at most max_letters (100, at most 1000); without any choice only with '
  '{all: true}. Returns {discarded, last_id}. Raises QW002.';
