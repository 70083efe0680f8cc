/** Reports in a bucket, against a server that answers as Supabase Storage does, its errors among them. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OutageError, UnrecoverableError } from '../../src/errors.ts'
import type { ProcessorContext } from '../../src/processors/define.ts'
import type { FileStorage } from '../../src/services/storage.ts'
import { createFileBucket } from '../../src/services/supabase-storage.ts'
import { createContext } from '../support/context.ts'
import { lastingPort } from '../support/ports.ts'
import { type Mail, openReportBench, type ReportBench } from '../support/reports.ts'
import { type StorageServer, startStorageServer } from '../support/storage-server.ts'

const KEY = 'sb_secret_storage-test'
let server: StorageServer
let storage: FileStorage
beforeAll(async () => {
  server = await startStorageServer(KEY, 'reports')
  storage = createFileBucket({ url: server.url, key: KEY, bucket: 'reports' })
})
afterAll(async () => {
  await storage.close()
  await server.stop()
})
beforeEach(() => {
  server.files.clear()
  server.uploads.length = 0
})

async function put(content: string, to: FileStorage = storage): Promise<{ path: string; location: string }> {
  const path = await to.begin('a.csv')
  await writeFile(path, content)
  return { path, location: await to.publish(path, 'a.csv', 'text/csv') }
}

describe('a bucket', () => {
  test('keeps a file, over an earlier one of its name, and gives it back', async () => {
    expect(await storage.size('a.csv')).toBeNull()
    const { path, location } = await put('first')
    expect(location).toBe('reports/a.csv')
    expect(existsSync(path)).toBe(false)
    await put('the second')
    expect([...server.files.keys()]).toEqual(['a.csv'])
    expect(server.files.get('a.csv')?.type).toBe('text/csv')
    expect(await storage.size('a.csv')).toBe(10)
    expect((await storage.read('a.csv')).toString()).toBe('the second')
    const link = (await storage.link('a.csv', 600)) ?? ''
    expect(link).toContain('token=for-600')
    expect(await (await fetch(link)).text()).toBe('the second')
  })

  test.each([
    [
      { status: 400, body: { statusCode: '413', message: 'The object exceeded the maximum allowed size' } },
      true,
      /larger than the bucket/,
    ],
    [{ status: 413, body: '<html>' }, true, /larger than the bucket/],
    [
      { status: 400, body: { statusCode: '415', message: 'mime type text/csv is not supported' } },
      true,
      /files of this type/,
    ],
    [
      { status: 400, body: { statusCode: '404', message: 'Bucket not found' } },
      'outage',
      /Make a private bucket "reports"/,
    ],
    [{ status: 401, body: {} }, 'outage', /SUPABASE_SECRET_KEY/],
    [{ status: 503, body: 'upstream' }, 'outage', /HTTP 503/],
    [{ status: 500, body: 'oops' }, false, /HTTP 500/],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, false, /HTTP 302/],
  ])('that answers %j says whether trying again can help', async (trouble, means, expected) => {
    server.fail(/^POST/, trouble)
    await expect(put('x')).rejects.toMatchObject({
      name: 'StorageError',
      final: means === true,
      isOutage: means === 'outage',
      message: expect.stringMatching(expected),
    })
    server.fail(/^GET/, trouble)
    await expect(storage.size('a.csv')).rejects.toMatchObject({ name: 'StorageError' })
    expect(server.files.size).toBe(0)
  })

  test('that is busy is given the time it asks for', async () => {
    server.fail(/^POST/, { status: 429, headers: { 'retry-after': '17' } })
    await expect(put('x')).rejects.toMatchObject({ final: false, retryAfterSeconds: 17 })
    server.fail(/^POST/, {
      status: 503,
      headers: { 'retry-after': new Date(Date.now() + 86_400_000).toUTCString() },
    })
    await expect(put('x')).rejects.toMatchObject({ retryAfterSeconds: 3600 })
  })

  test('that cannot be reached, or does not know the key, says so without the key', async () => {
    const nowhere = createFileBucket({
      url: `http://127.0.0.1:${await lastingPort()}`,
      key: KEY,
      bucket: 'reports',
    })
    await expect(put('x', nowhere)).rejects.toMatchObject({
      final: false,
      isOutage: true,
      message: expect.stringMatching(/ECONNREFUSED/),
    })
    const wrong = createFileBucket({ url: server.url, key: 'sb_secret_other', bucket: 'reports' })
    const error = await put('x', wrong).catch((thrown: Error) => thrown)
    expect(String(error)).toMatch(/HTTP 403.*Check SUPABASE_SECRET_KEY/)
    expect(String(error)).not.toContain('sb_secret')
  })
})

describe('a report in a bucket', () => {
  let bench: ReportBench
  let report: string
  beforeAll(async () => {
    bench = await openReportBench('rpc')
    report = await bench.define(
      '',
      'table (a int)',
      'begin return query select g from generate_series(1, 500) g; end',
    )
  })
  afterAll(() => bench.close())

  function delivery(attachBytes: number) {
    const sent: { queue: string; mail: Mail; key: string | undefined }[] = []
    const send: ProcessorContext['send'] = (queue, mail, options) =>
      void sent.push({ queue, mail: mail as Mail, key: options?.idempotencyKey })
    const { context } = createContext({ originKey: randomBytes(16).toString('hex'), send })
    const processor = bench.processor({ storage, attachBytes, linkSeconds: 7200 })
    const payload = processor.payload.parse({ report, format: 'csv', deliver: { to: 'ann@example.com' } })
    return { sent, context, run: () => processor.process(payload, context) }
  }

  test('is uploaded once; a large one is mailed as a link, and a redelivery sends the same', async () => {
    const { sent, context, run } = delivery(10)
    await run()
    await run()
    const name = `${report}-${context.originKey}.csv`
    expect(server.uploads).toEqual([name])
    expect(sent).toHaveLength(2)
    for (const { queue, mail, key } of sent) {
      expect([queue, key]).toEqual([bench.emailQueue, `report-${context.originKey}`])
      expect(mail.attachments).toBeUndefined()
      const link = /^https?:\S+$/m.exec(mail.text)?.[0] ?? ''
      expect((await (await fetch(link)).text()).split('\r\n')).toHaveLength(502)
      expect(mail.text).toContain('Download, for 2 hours:')
    }
    expect(await bench.records(report)).toMatchObject([
      { state: 'done', location: `reports/${name}`, rows: '500' },
    ])
  })

  test('a small one is attached', async () => {
    const { sent, run } = delivery(1_000_000)
    await run()
    const content = Buffer.from(sent[0]?.mail.attachments?.[0]?.contentBase64 ?? '', 'base64').toString()
    expect(content.split('\r\n')).toHaveLength(502)
  })

  test('errors of the storage decide what becomes of the message, and are recorded', async () => {
    const { context, run } = delivery(10)
    const record = async () =>
      (await bench.records(report)).find(({ origin_key }) => origin_key === context.originKey)
    server.fail(/^POST/, { status: 429, headers: { 'retry-after': '5' } })
    await expect(run()).rejects.toMatchObject({ retryAfterSeconds: 5 })
    server.fail(/^POST/, { status: 429 })
    await expect(run()).rejects.toBeInstanceOf(OutageError)
    expect(await record()).toMatchObject({ state: 'failed', error: expect.stringMatching(/HTTP 429/) })
    server.fail(/^POST/, { status: 413 })
    await expect(run()).rejects.toBeInstanceOf(UnrecoverableError)
    await run()
    expect(await record()).toMatchObject({ state: 'done', error: null })
    expect(server.uploads).toHaveLength(1)
  })
})
