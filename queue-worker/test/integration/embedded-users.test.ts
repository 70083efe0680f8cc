import { readFileSync, statSync } from 'node:fs'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startStack } from '../../src/embedded/stack.ts'
import { canUse } from '../../src/embedded/unprivileged.ts'
import { processesIn, stackProcess } from '../support/processes.ts'
import { anyPorts, stackFolder, testStack } from '../support/stack.ts'

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65534, gid: 65534 }
const program = fileURLToPath(new URL('../support/stack-process.ts', import.meta.url))
/** Not so when the project lies below root's own folder. */
const nobodySeesProject = isRoot && canUse(nobody, { run: [process.execPath], read: [program] })

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

function usersIn(folder: string): number[] {
  const users = processesIn(folder).flatMap(
    ({ pid }) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? [],
  )
  return [...new Set(users)]
}

async function works(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await sql`select pgmq.create('users')`
    expect(await sql`select from pgmq.list_queues() where queue_name = 'users'`).toHaveLength(1)
  } finally {
    await sql.end()
  }
}

describe.runIf(isRoot)('as root', () => {
  test('the programs run as one other user, and the folder stays with root', async () => {
    const stack = await testStack({ directory })
    cleanups.push(stack.stop)
    const users = usersIn(directory)
    expect(users).toHaveLength(1)
    expect(users).not.toContain(0)
    expect(statSync(join(directory, 'stack.json')).uid).toBe(0)
    await works(stack.databaseUrl)
  })

  test('a folder that no other user can enter: the data are elsewhere, which is told, and stay there', async () => {
    const closed = join(directory, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const inner = join(closed, '.queue-worker')
    const first = await testStack({ directory: inner })
    cleanups.push(first.stop)
    const home = /kept in (\S+):/.exec(first.lines.join('\n'))?.[1] ?? ''
    expect(home).toMatch(/queue-worker-[0-9a-f]{16}$/)
    cleanups.push(() => rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
    await works(first.databaseUrl)
    await first.stop()

    await chmod(closed, 0o755)
    const second = await testStack({ directory: inner })
    cleanups.push(second.stop)
    const sql = postgres(second.databaseUrl, { max: 1 })
    expect(await sql`select from pgmq.list_queues() where queue_name = 'users'`).toHaveLength(1)
    await sql.end()
    await second.stop()

    await rm(inner, { recursive: true })
    const afresh = await testStack({ directory: inner })
    cleanups.push(afresh.stop)
    const fresh = postgres(afresh.databaseUrl, { max: 1 })
    expect(await fresh`select from pgmq.list_queues()`).toHaveLength(0)
    await fresh.end()
    await afresh.stop()

    await chown(home, nobody.uid, nobody.gid)
    await expect(startStack({ directory: inner, ports: anyPorts, log: () => {} })).rejects.toMatchObject({
      name: 'SetupError',
      message: expect.stringContaining(home),
    })
  })

  test.runIf(nobodySeesProject)('a folder root made is refused to others with the reason', async () => {
    await (await testStack({ directory })).stop()
    await expect(stackProcess(directory, nobody)).rejects.toThrow(/SetupError.*cannot write its folder/)
  })
})

describe.runIf(nobodySeesProject)('as an ordinary user', () => {
  test('everything runs as that user, in its folder', async () => {
    await chown(directory, nobody.uid, nobody.gid)
    const running = await stackProcess(directory, nobody)
    cleanups.push(running.kill)
    expect(running.stack.lines.filter((line) => !line.startsWith('port'))).toEqual([])
    expect(usersIn(directory)).toEqual([nobody.uid])
    expect(statSync(join(directory, 'stack.json'))).toMatchObject({ uid: nobody.uid, mode: 0o100600 })
    await works(running.stack.databaseUrl)
  })

  test('root may start it later, and what it writes stays with that user, who can start it again', async () => {
    await chown(directory, nobody.uid, nobody.gid)
    const first = await stackProcess(directory, nobody)
    cleanups.push(first.kill)
    await first.kill()
    const byRoot = await testStack({ directory })
    cleanups.push(byRoot.stop)
    expect(usersIn(directory)).toEqual([nobody.uid])
    await byRoot.stop()
    const again = await stackProcess(directory, nobody)
    cleanups.push(again.kill)
    await works(again.stack.databaseUrl)
  })

  test('a user without a name is told that PostgreSQL wants one', async () => {
    const unnamed = { uid: 54321, gid: 54321 }
    expect(readFileSync('/etc/passwd', 'utf8')).not.toContain(':54321:')
    await chown(directory, unnamed.uid, unnamed.gid)
    await expect(stackProcess(directory, unnamed)).rejects.toThrow(/SetupError.*user id 54321 has none/)
  })
})
