import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { listen } from '../../src/embedded/ports.ts'
import { startStack } from '../../src/embedded/stack.ts'
import { listMigrations } from '../../src/services/migrations.ts'
import { nothingRunsIn, processesIn, type StackProcess, stackProcess } from '../support/processes.ts'
import { anyPorts, query, stackFolder, testStack } from '../support/stack.ts'

let directory: string
let cleanups: (() => Promise<unknown>)[]
beforeEach(async () => {
  directory = await stackFolder()
  cleanups = []
})
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
})

async function started(folder = directory): Promise<StackProcess> {
  const running = await stackProcess(folder)
  cleanups.push(running.kill)
  return running
}

test('a stop leaves no process, and the next start has the same data, keys and passwords', async () => {
  const first = await testStack({ directory })
  await query(first.databaseUrl, "select pgmq.create('kept'); select pgmq.send('kept', '{\"n\": 1}')")
  await first.stop()
  await nothingRunsIn(directory)
  const second = await testStack({ directory })
  cleanups.push(second.stop)
  expect(second.secretKey).toBe(first.secretKey)
  expect(new URL(second.databaseUrl).password).toBe(new URL(first.databaseUrl).password)
  expect(await query(second.databaseUrl, 'select message from pgmq.q_kept')).toEqual([{ message: { n: 1 } }])
})

test('started twice: the second joins, in this process and in another, and stopping it stops nothing', async () => {
  const owner = await testStack({ directory })
  cleanups.push(owner.stop)
  const guest = await startStack({ directory, ports: anyPorts, log: () => {} })
  expect([owner.attached, guest.attached]).toEqual([false, true])
  expect({ ...guest, stop: null, attached: null }).toEqual({
    ...owner,
    stop: null,
    attached: null,
    directory: undefined,
    lines: undefined,
    dispose: undefined,
  })
  await guest.stop()
  const other = await started()
  expect(other.stack).toMatchObject({ attached: true, databaseUrl: owner.databaseUrl })
  await other.kill()
  expect(await query(owner.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
})

test.each(['no lock', 'a stale lock'])(
  'four that start at the same time upon %s: one runs it, the others join',
  async (found) => {
    if (found === 'a stale lock') {
      writeFileSync(join(directory, 'stack.lock'), JSON.stringify({ pid: process.pid, started: 'long ago' }))
    }
    const all = await Promise.all([started(), started(), started(), started()])
    expect(all.filter(({ stack }) => !stack.attached)).toHaveLength(1)
    expect(new Set(all.map(({ stack }) => stack.databaseUrl)).size).toBe(1)
    const running = processesIn(directory).filter(({ command }) => !command.startsWith('/bin/sh'))
    const servers = running.filter(({ command }) => command.includes('/bin/postgres -D'))
    // A connection's process is for a moment a copy of the server that made it.
    const first = servers.filter(({ parent }) => !servers.some(({ pid }) => pid === parent))
    expect(first).toHaveLength(1)
  },
)

test('PostgreSQL that ends by itself is told, with the place of its log', async () => {
  const stack = await testStack({ directory })
  cleanups.push(stack.stop)
  const pid = Number(readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(
    () => expect(stack.lines.join()).toMatch(/PostgreSQL of the embedded stack has ended.*postgres\.log/),
    20_000,
  )
})

describe('ports', () => {
  async function taken(): Promise<number> {
    const server: Server = createServer()
    cleanups.push(() => new Promise((resolve) => server.close(resolve)))
    return await listen(server, 0)
  }

  test('taken ones are replaced by free ones, and each is told', async () => {
    const ports = { gateway: await taken(), postgres: await taken(), smtp: await taken() }
    const stack = await testStack({ directory, ports })
    cleanups.push(stack.stop)
    expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
    const used = [new URL(stack.url).port, new URL(stack.databaseUrl).port, String(stack.smtp.port)]
    for (const port of Object.values(ports)) {
      expect(used).not.toContain(String(port))
      expect(stack.lines.filter((line) => line.startsWith(`port ${port} is taken`))).toHaveLength(1)
    }
  })

  test('free ones are used as asked', async () => {
    const probe = createServer()
    const gateway = await listen(probe, 0)
    await new Promise((resolve) => probe.close(resolve))
    const stack = await testStack({ directory, ports: { ...anyPorts, gateway } })
    cleanups.push(stack.stop)
    expect(new URL(stack.url).port).toBe(String(gateway))
    expect(stack.lines).toEqual([])
  })
})

describe('folders', () => {
  test('one with spaces, quotes and letters of all sorts in its path', async () => {
    const stack = await testStack({ directory: join(directory, `my 'own' "pröject" $HOME`, '.queue-worker') })
    cleanups.push(stack.stop)
    expect(await query(stack.databaseUrl, "select pgmq.create('spacious')")).toHaveLength(1)
  })

  test('one with a colon, which PostgreSQL cannot have in a path of extensions', async () => {
    const stack = await testStack({ directory: join(directory, 'a:b') })
    cleanups.push(stack.stop)
    expect(await query(stack.databaseUrl, "select pgmq.create('parted')")).toHaveLength(1)
  })

  test('one that cannot be made is named, with what to do', async () => {
    const file = join(directory, 'a-file')
    await writeFile(file, '')
    await expect(startStack({ directory: join(file, 'stack'), log: () => {} })).rejects.toMatchObject({
      name: 'SetupError',
      message: expect.stringContaining(join(file, 'stack')),
      remedy: expect.stringMatching(/writ/),
    })
  })

  test('data of another PostgreSQL, and data whose passwords are lost, are refused and left alone', async () => {
    const data = join(directory, 'data')
    await mkdir(data)
    await writeFile(join(data, 'PG_VERSION'), '12\n')
    const start = () => startStack({ directory, ports: anyPorts, log: () => {} })
    await expect(start()).rejects.toMatchObject({
      name: 'SetupError',
      message: expect.stringContaining('stack.json'),
    })
    await rm(data, { recursive: true })
    await (await start()).stop()
    await writeFile(join(data, 'PG_VERSION'), '12\n')
    await expect(start()).rejects.toMatchObject({
      name: 'SetupError',
      message: expect.stringContaining("PostgreSQL 12's"),
    })
    expect(readFileSync(join(data, 'PG_VERSION'), 'utf8')).toBe('12\n')
  })
})

test('the stack shared by the whole test run answers, with all migrations applied', async () => {
  const sql = postgres(inject('stack').databaseUrl, { max: 1 })
  const applied = await sql`select name from queue_worker.migrations order by name`
  await sql.end()
  expect(applied.map(({ name }) => name)).toEqual((await listMigrations()).map(({ name }) => name))
})
