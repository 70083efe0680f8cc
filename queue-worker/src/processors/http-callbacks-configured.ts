/** The processor of callbacks as the settings ask for it. */
import type { Config } from '../config.ts'
import { createCallbackClient } from '../services/http.ts'
import type { Processor } from './define.ts'
import { httpCallbacksProcessor } from './http-callbacks.ts'

export function httpCallbacks({ callbacks }: Config, queue: string): Processor {
  return httpCallbacksProcessor({ ...callbacks, queue, client: createCallbackClient(callbacks) })
}
