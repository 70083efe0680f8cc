-- `npx supabase db reset` ends with this: the e-mail queue, and a first message in it to see the worker at work.
select queue_worker.ensure_queue('email_queue', false);

select pgmq.send('email_queue', jsonb_build_object(
  'to', 'you@example.com',
  'subject', 'The queue works',
  'text', 'Sent by supabase/seed.sql.'));
