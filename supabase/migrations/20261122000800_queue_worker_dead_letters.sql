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

-- Not jsonb_agg: its time grows with the square of the number of keys in a message (16,000 keys: 12 s against 20 ms).
create or replace function queue_worker.list_dead_letters(queue text, after_id bigint, max_letters int) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  listed jsonb;
begin
  execute format($q$
    select to_jsonb(array_agg(jsonb_build_object('msg_id', d.msg_id::text, 'message', d.message -> 'message',
      'dead_letter', d.message -> 'dead_letter') order by d.msg_id))
    from (select m.msg_id, m.message from %s m where m.msg_id > $1 order by m.msg_id limit $2) d
    $q$, queue_worker.dead_letter_table(queue)) into listed using coalesce(after_id, 0), least(coalesce(max_letters, 100), 1000);
  return coalesce(listed, '[]');
end $$;
comment on function queue_worker.list_dead_letters(text, bigint, int) is
  'Dead letters of a queue in id order after an id, at most 1000: [{msg_id, message, dead_letter}].';

-- Only letters of our making are sent back: a message that somebody else put into the queue has no original.
create or replace function queue_worker.redrive(queue text, msg_ids bigint[], only_reason text, max_letters int, forget boolean)
returns jsonb language plpgsql set search_path = '' as $$
declare
  letter record;
  sent record;
  redriven jsonb := '[]';
begin
  for letter in execute format($q$
    with gone as (
      delete from %1$s m where m.msg_id in (
        select d.msg_id from %1$s d
        where d.message ? 'message' and d.message -> 'dead_letter' ->> 'queue' = $1
          and ($2 is null or d.msg_id = any ($2)) and ($3 is null or d.message -> 'dead_letter' ->> 'reason' = $3)
        order by d.msg_id limit $4 for update skip locked)
      returning m.msg_id, m.message)
    select g.msg_id, g.message from gone g order by g.msg_id
    $q$, queue_worker.dead_letter_table(queue)) using queue, msg_ids, only_reason, least(coalesce(max_letters, 100), 1000)
  loop
    select * into sent from queue_worker.send_one(queue, letter.message -> 'message',
      nullif(letter.message -> 'headers', 'null'), null, null, letter.message -> 'dead_letter' ->> 'origin_key');
    if forget then
      delete from queue_worker.ledger l
      where l.origin_key = letter.message -> 'dead_letter' ->> 'origin_key' and l.state = 'started';
    end if;
    redriven := redriven || jsonb_build_object('dead_msg_id', letter.msg_id::text, 'msg_id', sent.msg_id::text);
  end loop;
  return redriven;
end $$;
comment on function queue_worker.redrive(text, bigint[], text, int, boolean) is
  'Sends dead letters back to their queue, all or none, keeping their origin keys: those with the given ids, or reason, or all, '
  'at most max_letters (100, at most 1000). forget: steps of unknown end may run again. Returns [{dead_msg_id, msg_id}].';

create or replace function queue_worker.discard_dead_letters(queue text, msg_ids bigint[]) returns int
language plpgsql set search_path = '' as $$
declare
  discarded int;
begin
  execute format('with gone as (delete from %s m where m.msg_id = any ($1) returning 1) select count(*) from gone',
    queue_worker.dead_letter_table(queue)) into discarded using msg_ids;
  return discarded;
end $$;
comment on function queue_worker.discard_dead_letters(text, bigint[]) is 'Deletes dead letters for good; returns how many.';
