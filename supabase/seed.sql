-- `npx supabase db reset` ends with this: the e-mail queue, a first message in it to see the worker at work, and a schedule.
select queue_worker.ensure_queue('email_queue', false);

select pgmq.send('email_queue', jsonb_build_object(
  'to', 'you@example.com',
  'subject', 'The queue works',
  'text', 'Sent by supabase/seed.sql.'));

-- A mail every Monday at nine in Berlin, whatever their clocks do. `missed`: one mail, if nothing ran at that time. See docs/schedules.md.
insert into queue_worker.schedules (name, cron, timezone, queue, message, missed) values (
  'weekly-hello', '0 9 * * MON', 'Europe/Berlin', 'email_queue', jsonb_build_object(
    'to', 'you@example.com',
    'subject', 'A new week',
    'text', 'Sent by the schedule weekly-hello of supabase/seed.sql.'), 'one');
