/**
 * Every TypeScript example of the README and of docs/ fits the types of the package, as a program of somebody who uses it;
 * examples in JavaScript can be read. All in one run of the compiler.
 */
import { spawnSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { folder, projectRoot, removeFolder } from '../support/cli.ts'
import { blocksIn } from '../support/doc-blocks.ts'

/** What the examples of a page take for granted: yours, not ours. */
const GIVEN: Readonly<Record<string, string>> = {
  'README.md': 'declare function upload(response: Response, width: number): Promise<string>',
  'docs/sleep.md': `
    import { createProducer, type Transport } from 'queue-worker';
    declare const connection: Transport;
    declare const schemas: Parameters<typeof createProducer>[1]`,
  'docs/tracing.md': `
    import type { Producer } from 'queue-worker';
    declare const producer: Producer`,
  'docs/processors/payments.md': `
    declare const Deno: {
      env: { get(name: string): string | undefined };
      serve(handle: (request: Request) => Promise<Response>): void
    }`,
}

/** What lies beside them in a program of somebody, and a package that ours is not made with: as much of it as they use. */
const BESIDE: Readonly<Record<string, string>> = {
  'make-thumbnail.ts':
    'export declare function makeThumbnail(image: string, width: number, how: { signal: AbortSignal }): Promise<void>',
  'summarize.ts':
    'export declare function summarize(url: string, how: { signal: AbortSignal; isLast: boolean }): Promise<void>',
  'send-welcome.ts':
    'export declare function sendWelcome(userId: number, how: { signal: AbortSignal }): Promise<void>',
  'bullmq.ts': `
    type Job = { id?: string; name: string; data: object; timestamp: number; delay: number; remove(): Promise<void> }
    export declare class Queue {
      constructor(name: string, options: { connection: { host: string; port: number } })
      getJobs(types: ('waiting' | 'prioritized' | 'delayed' | 'failed')[]): Promise<Job[]>
      close(): Promise<void>
    }`,
}

const optionsIn = (cwd: string) => ({
  extends: join(projectRoot, 'tsconfig.json'),
  compilerOptions: {
    // TypeScript looks for these beside the file, and that is not in the checkout.
    typeRoots: [join(projectRoot, 'node_modules/@types')],
    lib: ['es2024', 'esnext.disposable'],
    paths: {
      'queue-worker': [join(projectRoot, 'queue-worker/src/library.ts')],
      bullmq: [join(cwd, 'bullmq.ts')],
      'npm:@supabase/supabase-js': [join(projectRoot, 'node_modules/@supabase/supabase-js/dist/index.d.mts')],
    },
  },
})

/** Their blocks are the files of one program, which processor-docs.test.ts compiles and runs. */
const WHOLE_PROGRAMS = ['docs/writing-a-processor.md', 'docs/testing-a-processor.md']

const typed = blocksIn('ts').filter(({ page }) => !WHOLE_PROGRAMS.includes(page))
const nameOf = ({ page, line }: { page: string; line: number }) => `${page.replaceAll('/', '_')}.${line}.ts`

let cwd = ''
let said = ''
beforeAll(async () => {
  cwd = await folder('queue-worker-types-')
  symlinkSync(join(projectRoot, 'node_modules'), join(cwd, 'node_modules'))
  for (const [name, text] of Object.entries(BESIDE)) writeFileSync(join(cwd, name), text)
  const files = typed.map((block) => {
    const path = join(cwd, nameOf(block))
    // On one line before it, so that its lines keep their numbers.
    writeFileSync(
      path,
      `${(GIVEN[block.page] ?? '').trim().replaceAll(/\s+/g, ' ')}; export {}; ${block.text}`,
    )
    return path
  })
  writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ ...optionsIn(cwd), files, include: [] }))
  writeFileSync(join(cwd, 'package.json'), '{"type": "module"}')
  const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc')
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', cwd], { encoding: 'utf8', cwd })
  said = stdout
})
afterAll(() => removeFolder(cwd))

test.each(typed.map((block) => [`${block.page}:${block.line}`, nameOf(block)]))(
  '%s fits the types',
  (_, name) => {
    expect(said.split('\n').filter((line) => line.startsWith(`${name}(`))).toEqual([])
  },
)

test('nothing else is wrong with them', () => {
  const names = typed.map(nameOf)
  const others = said
    .split('\n')
    .filter((line) => /error/.test(line) && !names.some((name) => line.startsWith(`${name}(`)))
  expect(others).toEqual([])
})

test.each(blocksIn('js').map((block) => [`${block.page}:${block.line}`, block.text]))(
  '%s can be read',
  (_, text) => {
    const path = join(cwd, 'example.mjs')
    writeFileSync(path, text)
    const { status, stderr } = spawnSync(process.execPath, ['--check', path], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
  },
)
