/** The code of docs/writing-a-processor.md and docs/testing-a-processor.md, as it stands there: it compiles, its tests pass, and it runs. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { QUEUE_SUFFIXES } from '../../src/config/overrides.ts'
import { endAll, folder, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { createInspector } from '../support/queues.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { until } from '../support/worker.ts'

const QUEUES = ['credits', 'exports', 'invoices', 'orders']
const modules = join(projectRoot, 'node_modules')

let cwd = ''
let sql: Sql
let receiver: Receiver
beforeAll(async () => {
  cwd = await folder('queue-worker-docs-')
  await mkdir(join(cwd, 'node_modules/@types'), { recursive: true })
  await symlink(projectRoot, join(cwd, 'node_modules/queue-worker'))
  for (const name of ['zod', 'vitest', '@types/node']) {
    await symlink(join(modules, name), join(cwd, 'node_modules', name))
  }
  await writeFile(join(cwd, 'package.json'), '{"type": "module"}')
  for (const page of ['writing-a-processor', 'testing-a-processor']) await writeBlocks(page)
  sql = postgres(inject('stack').databaseUrl, { max: 1, onnotice: () => {} })
  receiver = await startReceiver()
})
afterAll(async () => {
  await endAll()
  for (const queue of QUEUES) await createInspector(sql).drop(queue)
  await sql.end()
  await receiver.stop()
  await removeFolder(cwd)
})

/** Each block of TypeScript says in its first line which file it is. */
async function writeBlocks(page: string): Promise<void> {
  const text = await readFile(join(projectRoot, `docs/${page}.md`), 'utf8')
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
  expect(blocks.length).toBeGreaterThan(1)
  for (const code of blocks) {
    const [, name] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? []
    if (name === undefined) throw new Error(`a block of ${page}.md does not say which file it is:\n${code}`)
    await mkdir(dirname(join(cwd, name)), { recursive: true })
    await writeFile(join(cwd, name), code)
  }
}

test('it compiles, as strictly as our own', async () => {
  const tsconfig = {
    extends: join(projectRoot, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(cwd, 'node_modules/@types')] },
    include: ['**/*.ts'],
  }
  await writeFile(join(cwd, 'tsconfig.json'), JSON.stringify(tsconfig))
  const { code, text } = await run(['-p', 'tsconfig.json'], {
    cwd,
    command: [process.execPath, join(modules, 'typescript/bin/tsc')],
  })
  expect(code, text).toBe(0)
})

test('the settings it names are there', async () => {
  const text = await readFile(join(projectRoot, 'docs/writing-a-processor.md'), 'utf8')
  const named = [...text.matchAll(/`INVOICES_([A-Z_]+)`/g)].map(([, suffix = '']) => suffix)
  expect(named.length).toBeGreaterThan(8)
  expect(named.filter((suffix) => !(QUEUE_SUFFIXES as readonly string[]).includes(suffix))).toEqual([])
})

test('its tests pass, with vitest and with node:test', async () => {
  const [vitest, node] = await Promise.all([
    run(['run', 'test/invoices.test.ts'], {
      cwd,
      command: [process.execPath, join(modules, 'vitest/vitest.mjs')],
    }),
    run(['--test', 'test/orders.test.ts'], { cwd, command: [process.execPath] }),
  ])
  expect(vitest.code, vitest.text).toBe(0)
  expect(vitest.text).toMatch(/Tests +3 passed/)
  expect(node.code, node.text).toBe(0)
  expect(node.text).toMatch(/pass 3/)
})

test('the producer sends once, and the processors run from a folder and as a library', async () => {
  const env = { DATABASE_URL: inject('stack').databaseUrl, INVOICES_URL: `${receiver.origin}/books` }
  const program = [process.execPath, join(projectRoot, 'dist/index.js')] as const
  for (const queue of QUEUES)
    await sql`select public.queue_worker_ensure_queue(${sql.json({ protocol: 2, queue })}::jsonb)`
  const send = () => run([], { cwd, env, command: [process.execPath, 'producer.ts'] })
  expect((await send()).text).toBe('sent 1\n')
  expect((await send()).text).toBe('1 was sent before\n')
  const drained = await run(['drain'], {
    cwd,
    env: { ...env, QUEUES: QUEUES.join(), PROCESSORS: 'processors' },
    command: program,
  })
  expect(drained.code, drained.text).toBe(0)
  expect(receiver.received.map(({ path, body }) => [path, JSON.parse(String(body))])).toEqual([
    ['/books', { id: 17, total: 19.99, currency: 'EUR' }],
  ])
  const worker = start([], { cwd, env, command: [process.execPath, 'worker.ts'] })
  await worker.says(/reads credits, exports, invoices, orders/)
  await sql`select pgmq.send('invoices', ${sql.json({ id: 18, to: receiver.origin, total: 1 })}::jsonb)`
  await until('the second is booked', () => receiver.received.length === 2)
  worker.signal('SIGTERM')
  expect(await worker.ended, worker.text()).toBe(0)
})
