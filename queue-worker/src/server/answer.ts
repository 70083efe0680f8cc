/** How this server answers. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  write(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`, headers)
}

export function write(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...headers })
  response.end(body)
}
