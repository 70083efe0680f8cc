import { readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { processId } from '../../src/embedded/processes.ts'
import { nothingRunsIn, processesIn, type StackProcess, stackProcess } from '../support/processes.ts'
import { query, stackFolder, testStack } from '../support/stack.ts'

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

const nothingLeft = () => nothingRunsIn(directory)

describe.runIf(process.platform === 'linux')('killed with SIGKILL', () => {
  test('nothing stays behind, no file is in the way, and a message sent before is there after', async () => {
    const victim = await started()
    await query(
      victim.stack.databaseUrl,
      "select pgmq.create('kept'); select pgmq.send('kept', '{\"n\": 1}')",
    )
    expect(processesIn(directory).length).toBeGreaterThan(3)
    await victim.kill()
    await nothingLeft()
    const next = await started()
    expect(next.stack).toMatchObject({ attached: false, secretKey: victim.stack.secretKey })
    expect(await query(next.stack.databaseUrl, 'select message from pgmq.q_kept')).toEqual([
      { message: { n: 1 } },
    ])
  })

  test('a signal to the group of its process, as Ctrl-C sends, does not reach the servers', async () => {
    const running = await started()
    const groupOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2]
    const groups = processesIn(directory).map(({ pid }) => groupOf(pid))
    expect(groups.length).toBeGreaterThan(3)
    expect(groups).not.toContain(groupOf(running.pid))
  })

  test('a start right after does not wait for the old one to be gone', async () => {
    const victim = await started()
    await victim.kill()
    const next = await started()
    expect(next.stack.attached).toBe(false)
    expect(await query(next.stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('while it makes its data folder: the next start makes a whole one', async () => {
    const attempt = stackProcess(directory)
    const killed = attempt.then(
      ({ kill }) => kill(),
      () => {},
    )
    await vi.waitFor(() => {
      const owner = JSON.parse(readFileSync(join(directory, 'stack.lock'), 'utf8'))
      expect(processesIn(directory).some(({ command }) => command.includes('initdb'))).toBe(true)
      process.kill(owner.pid, 'SIGKILL')
    }, 30_000)
    await killed
    const next = await started()
    expect(await query(next.stack.databaseUrl, "select pgmq.create('made')")).toHaveLength(1)
  })

  test('with its watchers: what then stays behind is ended by the next start', async () => {
    const victim = await started()
    const orphans = processesIn(directory).filter(({ parent }) => parent === victim.pid)
    expect(orphans).toHaveLength(2)
    for (const { pid, command } of processesIn(directory)) {
      if (command.startsWith('/bin/sh')) process.kill(pid, 'SIGKILL')
    }
    await vi.waitFor(
      () => expect(processesIn(directory).some(({ command }) => command.startsWith('/bin/sh'))).toBe(false),
      10_000,
    )
    await victim.kill()
    expect(orphans.map(({ pid }) => processId(pid))).not.toContain(null)
    const next = await started()
    const now = processesIn(directory).map(({ pid }) => pid)
    expect(orphans.filter(({ pid }) => now.includes(pid))).toEqual([])
    expect(await query(next.stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('with PostgreSQL: its stale postmaster.pid is no hindrance, also when the pid is in use again', async () => {
    const victim = await started()
    for (const { pid } of processesIn(directory)) process.kill(pid, 'SIGKILL')
    await victim.kill()
    await nothingLeft()
    const pidFile = join(directory, 'data', 'postmaster.pid')
    const lines = readFileSync(pidFile, 'utf8').split('\n')
    // A pid of a process that lives and is not PostgreSQL, namely of this test.
    writeFileSync(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'))
    const next = await started()
    expect(await query(next.stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('a lock that names a pid which another program has by now does not count', async () => {
    writeFileSync(join(directory, 'stack.lock'), JSON.stringify({ pid: process.pid, started: 'long ago' }))
    const stack = await testStack({ directory })
    cleanups.push(stack.stop)
    expect(stack.attached).toBe(false)
  })
})
