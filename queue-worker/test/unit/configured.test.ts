/** The processors that the settings ask for: what is said at start of settings that cannot work. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULTS } from '../../src/config/settings.ts'
import { loadConfig } from '../../src/config.ts'
import { SetupError } from '../../src/errors.ts'
import { configuredProcessors } from '../../src/processors/configured.ts'
import { DEFAULT_TEMPLATES } from '../../src/processors/email-configured.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'queue-worker-configured-'))
})
afterAll(() => rm(folder, { recursive: true }))

const configured = (env: Record<string, string>) => {
  const smtp = { SMTP_HOST: '127.0.0.1', SMTP_FROM: 'app@from.example' }
  const config = loadConfig({ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/db', ...smtp, ...env })
  return configuredProcessors(config, pino({ level: 'silent' }))
}

test('a folder of templates that was set and is not there is told at start, with what to do', async () => {
  const error = await configured({ EMAIL_TEMPLATES_DIR: join(folder, 'nowhere') }).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(SetupError)
  expect(error.message).toMatch(/^EMAIL_TEMPLATES_DIR .*ENOENT/)
  expect(error.remedy).toMatch(/Set EMAIL_TEMPLATES_DIR to/)
})

test('one that is there is fine, also without templates in it', async () => {
  const [processor] = await configured({ EMAIL_TEMPLATES_DIR: folder })
  expect(processor?.queue).toBe('email_queue')
})

test('the default folder may be missing', async () => {
  expect(DEFAULT_TEMPLATES).toBe(DEFAULTS.EMAIL_TEMPLATES_DIR)
  const before = process.cwd()
  process.chdir(folder)
  try {
    const [processor] = await configured({})
    expect(processor?.queue).toBe('email_queue')
  } finally {
    process.chdir(before)
  }
})

test('callbacks are there when they are asked for, and a CA file that cannot be used is told at start', async () => {
  const queues = async (env: Record<string, string>) => (await configured(env)).map(({ queue }) => queue)
  expect(await queues({})).toEqual(['email_queue'])
  expect(await queues({ HTTP_CALLBACKS_ALLOW_PRIVATE: 'localhost' })).toEqual([
    'email_queue',
    'http_callbacks',
  ])
  expect(await queues({ QUEUES: 'http_callbacks' })).toEqual(['http_callbacks'])
  const error = await configured({ HTTP_CALLBACKS_CA_FILE: join(folder, 'nowhere') }).catch(
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(SetupError)
  expect(error.remedy).toMatch(/Set HTTP_CALLBACKS_CA_FILE/)
  const broken = join(folder, 'broken.pem')
  await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  await expect(configured({ HTTP_CALLBACKS_CA_FILE: broken })).rejects.toThrow(
    /broken\.pem of HTTP_CALLBACKS_CA_FILE cannot be used/,
  )
})

test('the amqp queue is worked on when AMQP_URL is set, without connecting', async () => {
  const queues = (await configured({ AMQP_URL: 'amqp://127.0.0.1:1' })).map((one) => one.queue)
  expect(queues).toEqual(['email_queue', 'amqp'])
  const error = await configured({ QUEUES: 'amqp' }).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(SetupError)
  expect(error.remedy).toMatch(/AMQP_URL for amqp/)
})

test('a CA file of the broker that is not there is told by the name of its setting', async () => {
  const env = { AMQP_URL: 'amqps://mq.example.com', AMQP_CA_FILE: join(folder, 'nowhere.pem') }
  const error = await configured(env).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(SetupError)
  expect(error.remedy).toMatch(/AMQP_CA_FILE/)
})

test('reports are made where it is said where they go', async () => {
  const queues = async (env: Record<string, string>) => (await configured(env)).map(({ queue }) => queue)
  expect(await queues({})).toEqual(['email_queue'])
  expect(await queues({ REPORTS_DIR: folder })).toEqual(['email_queue', 'reports'])
  const project = {
    SUPABASE_URL: 'https://x.supabase.co',
    SUPABASE_SECRET_KEY: 'sb_secret_x',
    QUEUE_TRANSPORT: 'rpc',
  }
  expect(await queues({ ...project, REPORTS_BUCKET: 'reports' })).toEqual(['email_queue', 'reports'])
  expect(await queues({ REPORTS_DIR: folder, QUEUES: 'reports' })).toEqual(['reports'])
  expect(await queues({ REPORTS_DIR: folder, QUEUE_TRANSPORT: 'embedded' })).toContain('reports')
})

test('settings of reports that cannot work are told at start', async () => {
  const error = async (env: Record<string, string>) =>
    Promise.resolve()
      .then(() => configured(env))
      .catch((thrown) => thrown)
  expect(await error({ QUEUES: 'reports' })).toMatchObject({
    remedy: expect.stringMatching(/REPORTS_DIR .*REPORTS_BUCKET/),
  })
  expect((await error({ REPORTS_BUCKET: 'b' })).message).toMatch(/REPORTS_BUCKET is set without SUPABASE_URL/)
  expect((await error({ REPORTS_BUCKET: 'b', REPORTS_DIR: folder })).message).toMatch(
    /REPORTS_DIR is set together with/,
  )
  expect((await error({ REPORTS_CSV_DELIMITER: '|', REPORTS_LINK_SECONDS: '1' })).message).toMatch(
    /REPORTS_CSV_DELIMITER .*comma, semicolon, tab\n.*REPORTS_LINK_SECONDS is 1/,
  )
})
