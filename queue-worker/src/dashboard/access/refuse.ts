/** How somebody is turned away: with a page for people, with JSON for programs. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer } from '../../server/answer.ts'
import { refusedPage } from '../pages/login.ts'
import { sendReply } from '../reply.ts'

/** One request at the door. */
export type Door = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The path of the dashboard as the browser sees it. */
  readonly base: string
  /** What is asked for below it, with its query: '/queues/reports?state=dead'. */
  readonly at: string
}

export type Refusal = {
  readonly status: number
  readonly message: string
  readonly remedy: string
  /** Logging in may help. */
  readonly canLogIn?: boolean
}

export function refuse(door: Door, refusal: Refusal): null {
  const { request, response } = door
  dropBody(door)
  if (!isForPeople(request)) answer(response, refusal.status, bodyOf(refusal))
  else sendReply(response, refusedPage(refusal, door.base), frame(door))
  return null
}

const bodyOf = ({ message, remedy }: Refusal) => ({ error: message, remedy })

/** Browsers name HTML when they go to a page; curl and scripts do not. */
export function isForPeople({ headers }: IncomingMessage): boolean {
  return (headers.accept ?? '').includes('text/html')
}

/** Nobody who is not let in may make us read. */
export function dropBody({ request, response }: Door): void {
  if (request.method === 'POST') response.setHeader('connection', 'close')
}

/** A page for somebody who is nobody yet: without navigation. */
export function frame({ base, at }: Door) {
  return { base, at, visitor: null, sections: [] }
}
