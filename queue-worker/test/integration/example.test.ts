import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, inject, test } from 'vitest'
import { connectPostgres, createProducer } from '../../src/library.ts'
import { run } from '../support/cli.ts'
import { until } from '../support/worker.ts'

const example = fileURLToPath(new URL('../../../examples/hello.ts', import.meta.url))

test('the example of a trace prints two spans of one trace, and ends', async () => {
  const stack = inject('stack')
  const { code, text } = await run([], {
    cwd: process.cwd(),
    command: [process.execPath, fileURLToPath(new URL('../../../examples/tracing.ts', import.meta.url))],
    env: { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey },
  })
  expect(code, text).toBe(0)
  const [, traceId = 'none'] = /Hello, Ada! 00-([0-9a-f]{32})-/.exec(text) ?? []
  expect(text).toContain("name: 'a request'")
  expect(text).toContain("name: 'process traced'")
  expect(text.match(new RegExp(`traceId: '${traceId}'`, 'g'))?.length, text).toBeGreaterThanOrEqual(2)
})

test('the example is shorter than 20 lines', () => {
  expect(readFileSync(example, 'utf8').trimEnd().split('\n').length).toBeLessThan(20)
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  'the example processes a message and stops on %s',
  async (signal) => {
    const stack = inject('stack')
    const child = spawn(process.execPath, [example], {
      env: { ...process.env, SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey },
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    const producer = createProducer(connectPostgres({ url: stack.databaseUrl }))
    try {
      await until('the worker reads', () => output.includes('reads hello'))
      await producer.send('hello', { name: 'Ada' })
      await until('it said hello', () => output.includes('Hello, Ada! (attempt 1)'))
      child.kill(signal)
      expect(await once(child, 'exit')).toEqual([0, null])
    } catch (error) {
      throw new Error(`the example said:\n${output}`, { cause: error })
    } finally {
      child.kill('SIGKILL')
      await producer.close()
    }
  },
)
