/**
 * `npm run deploy:check`, the look at settings, files, build, connection and migration before a deploy. What it does first, to build what is old,
 * is in ready.test.ts.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { freePort, projectRoot, removeFolder, run } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { createDatabase } from '../support/databases.ts'
import { installed, writeEnv } from '../support/installed.ts'
import { migratedStack, type TestStack } from '../support/stack.ts'

/** Of its own: what other tests do to the shared one, the doctor would tell. */
let stack: TestStack
beforeAll(async () => {
  stack = await migratedStack()
})
afterAll(() => stack.dispose())

const queue = { QUEUES: 'http_callbacks' }
let cwd = ''
beforeEach(async () => {
  cwd = await installed({ ...connectionEnv('rpc', stack), ...queue })
})
afterEach(() => removeFolder(cwd))

const check = () =>
  run(['run', '--silent', 'deploy:check'], {
    cwd,
    command: ['npm'],
    env: { PATH: `${join(projectRoot, 'node_modules/.bin')}:${process.env.PATH}` },
  })

test('all is in order: 0, and each part was looked at', async () => {
  const { code, out } = await check()
  expect(code, out).toBe(0)
  for (const heading of ['Files', 'Settings', 'Connection', 'Database'])
    expect(out).toMatch(new RegExp(`^${heading}$`, 'm'))
  expect(out).toMatch(/dist is not older than queue-worker\/src/)
  expect(out).toMatch(/waits the 60 s that a stop may take/)
})

test('without settings: 3, and never the embedded stack of development', async () => {
  await rm(join(cwd, '.env'))
  const { code, out } = await check()
  expect([code, out]).toEqual([3, expect.stringMatching(/no connection is configured/)])
  expect(existsSync(join(cwd, '.queue-worker'))).toBe(false)
})

test('a database that is not there, and one without our migration: 1, with the remedy', async () => {
  await writeEnv(cwd, {
    ...queue,
    DATABASE_URL: `postgresql://u:p@127.0.0.1:${await freePort()}/d`,
    PORT: 'off',
  })
  const away = await check()
  expect([away.code, away.out]).toEqual([1, expect.stringMatching(/nothing accepts connections there/)])
  const database = await createDatabase(stack)
  try {
    await writeEnv(cwd, { ...queue, DATABASE_URL: database.url, PORT: 'off' })
    const empty = await check()
    expect([empty.code, empty.out]).toEqual([1, expect.stringMatching(/queue-worker migrate/)])
  } finally {
    await database.dispose()
  }
})
