import type { Sql } from 'postgres'

/**
 * Stands in for the extension pg_net, which is not to be had from npm: its http_post with the published signature, that of
 * a function like any other, writing down what it is asked for in the caller's transaction, as the real one does.
 */
export async function standInForPgNet(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create schema net;
    create table net.asked (id bigint generated always as identity, url text, body jsonb, params jsonb, headers jsonb, timeout_milliseconds int);
    create function net.http_post(url text, body jsonb default '{}'::jsonb, params jsonb default '{}'::jsonb,
      headers jsonb default '{"Content-Type": "application/json"}'::jsonb, timeout_milliseconds integer default 5000)
    returns bigint language plpgsql volatile as $$
    declare
      request_id bigint;
    begin
      insert into net.asked (url, body, params, headers, timeout_milliseconds)
      values (http_post.url, http_post.body, http_post.params, http_post.headers, http_post.timeout_milliseconds) returning id into request_id;
      return request_id;
    end $$`)
}
