import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { simpleParser } from 'mailparser'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { writtenIn } from '../../../scripts/demo-picture.ts'
import type { DemoResults } from '../../src/commands/demo-results.ts'
import { findRabbitmq } from '../../src/embedded/rabbitmq.ts'
import {
  type CliOptions,
  endAll,
  entry,
  folder,
  freePort,
  projectRoot,
  removeFolder,
  run,
  start,
} from '../support/cli.ts'
import { nothingRunsIn, processesIn } from '../support/processes.ts'
import { startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { until } from '../support/worker.ts'

let cwd = ''
/** Where the demo keeps what it removes again. */
let tmp = ''
beforeAll(async () => {
  cwd = await folder()
  tmp = join(cwd, 'tmp')
  mkdirSync(tmp, { mode: 0o777 })
})
afterEach(async () => {
  await endAll()
  expect(readdirSync(tmp)).toEqual([])
})
afterAll(() => removeFolder(cwd))

/** Nobody listens there: for tests that are not about the broker. */
const NO_BROKER = { AMQP_URL: 'amqp://127.0.0.1:1' }
const demo = (args: readonly string[] = [], { env = {}, ...more }: Partial<CliOptions> = {}) =>
  run(['demo', ...args], { cwd, env: { TMPDIR: tmp, ...env }, ...more })

const PUBLISHED = 'confirmed, and read back'
const WAITING = 'waits for a broker'
/** What becomes of each message, after how many attempts. */
const outcomes = (amqp: string) => [
  ['email_queue', 'a welcome mail, from a template', 'sent', 1],
  ['email_queue', 'a mail to a mailbox that is busy at first', 'sent', 2],
  ['email_queue', 'a mail to a mailbox that is not there', 'dead letter: unrecoverable', 1],
  ['email_queue', 'a mail to "not an address"', 'dead letter: invalid_payload', 1],
  ['email_queue', 'the mail that brings the PDF', 'sent', 1],
  ['reports', 'daily volume, as PDF, by mail', expect.stringMatching(/^a file of \d+ rows$/), 1],
  ['reports', 'failures, as XLSX', expect.stringMatching(/^a file of \d+ rows$/), 1],
  ['reports', 'processing times, as CSV', expect.stringMatching(/^a file of \d+ rows$/), 1],
  ['payments', 'charge 40.08 EUR; the answer gets lost', 'new → succeeded', 2],
  ['payments', 'charge 40.01 EUR; the card is declined', 'new → failed', 1],
  ['payments', 'hold 250.00 USD', 'new → authorized', 1],
  ['payments', 'hold 120.00 GBP', 'new → authorized', 1],
  ['payments', 'charge 5000 JPY', 'new → succeeded', 1],
  ['payments', 'capture 100.00 GBP of the 120.00', 'authorized → succeeded', 1],
  ['payments', 'refund 2000 JPY of the 5000', 'succeeded → partially_refunded', 1],
  ['http_callbacks', 'a callback to a receiver in this demo', 'answered 200; signature verified', 1],
  [
    'http_callbacks',
    'a callback that is answered 500 at first',
    'answered 500, then 200; signature verified',
    2,
  ],
  ['http_callbacks', 'a callback to a private address', 'dead letter: unrecoverable', 1],
  ['amqp', 'an event for RabbitMQ', amqp, amqp === WAITING ? 0 : 1],
]
const PAYMENTS = [
  ['order-1001', 'succeeded', '40.08 EUR', '40.08 EUR', '0.00 EUR', null],
  ['order-1002', 'failed', '40.01 EUR', '0.00 EUR', '0.00 EUR', expect.stringMatching(/^card_declined/)],
  ['order-1003', 'authorized', '250.00 USD', '0.00 USD', '0.00 USD', null],
  ['order-1004', 'succeeded', '120.00 GBP', '100.00 GBP', '0.00 GBP', null],
  ['order-1005', 'partially_refunded', '5000 JPY', '5000 JPY', '2000 JPY', null],
]
const told = (json: string): DemoResults => JSON.parse(json)
const outcomesIn = ({ messages }: DemoResults, prefix = '') =>
  messages.map(({ queue, message, happened, attempts }) => [
    queue.replace(new RegExp(`^${prefix}`), ''),
    message,
    happened,
    attempts,
  ])

test.skipIf(withoutRabbit !== '')(
  `the demo shows what became of each message, the payments, and files to open${withoutRabbit}`,
  async () => {
    const { code, out, err } = await demo()
    expect(code, err).toBe(0)
    let queue = ''
    for (const [of, message, happened, attempts] of outcomes(PUBLISHED)) {
      const what = typeof happened === 'string' ? happened : 'a file of \\d+ rows'
      const first = of === queue ? '' : of
      expect(out).toMatch(new RegExp(`^${first} +\\d+ +${message} +${what} +${attempts} +\\d+ ms$`, 'm'))
      queue = String(of)
    }
    expect(out).toMatch(/^ {2}email_queue 3: .*550.*No such mailbox/m)
    expect(out).toMatch(/^ {2}email_queue 4: .*"not an address" is not an e-mail/m)
    expect(out).toMatch(/^ {2}http_callbacks 3: 169\.254\.169\.254 is not on the public internet/m)
    for (const [reference, status, ...amounts] of PAYMENTS) {
      expect(out).toMatch(new RegExp(`^${reference} +${status} +${amounts.slice(0, 3).join(' +')}`, 'm'))
    }
    expect(out).toMatch(
      /^order-1001: its message was delivered twice.*\nIn the provider's books it stands once\./m,
    )
    const files = [...out.matchAll(/^ {2}\S.*? {2,}(\/.+\.queue-worker\/(?:mail|reports)\/\S+)$/gm)]
    expect(files.filter(([, path = '']) => existsSync(path))).toHaveLength(6)
    expect(out).toMatch(
      /^Read back from RabbitMQ: order\.paid \{"order":"order-1001"\}, message id [0-9a-f]{32}$/m,
    )
    const picture = writtenIn(readFileSync(join(projectRoot, 'docs/images/demo.svg'), 'utf8'))
    expect(rowsIn(out)).toHaveLength(outcomes(PUBLISHED).length)
    // What the README shows: npm run docs:pictures draws it.
    expect(rowsIn(picture)).toEqual(rowsIn(out))
    expect(paymentsIn(picture)).toEqual(paymentsIn(out))
    // A stranger sees it without much scrolling.
    expect(out.split('\n').length + err.split('\n').length).toBeLessThan(75)
    await nothingRunsIn(cwd)
  },
)

/** What the tables say that is the same each time. */
const rowsIn = (text: string) =>
  [...text.matchAll(/^\S* +\d+ {2}(\S.*?) {2,}(\S.*?) {2,}(\d+) +\d+ ms$/gm)].map(([, ...cells]) =>
    cells.map((cell) => cell.replace(/of \d+ rows/, 'of some rows')),
  )
const paymentsIn = (text: string) => text.match(/^order-10.*$/gm)

/** Of a project that the demo has no business with. */
const ELSEWHERE = {
  SUPABASE_URL: 'http://127.0.0.1:9',
  SUPABASE_SECRET_KEY: 'sb_secret_of_a_real_project',
  DATABASE_URL: 'postgresql://postgres:secret@127.0.0.1:9/postgres',
  SMTP_HOST: '127.0.0.1',
  SMTP_PORT: '9',
  QUEUES: 'something_else',
  NODE_ENV: 'production',
  PAYMENTS_PROVIDER: 'stripe',
  STRIPE_SECRET_KEY: 'sk_live_of_a_real_shop',
  HTTP_CALLBACKS_SECRET: 'nonsense',
  WORKER_ON_SUCCESS: 'delete',
  WORKER_MAX_ATTEMPTS: '1',
  PAYMENTS_ON_SUCCESS: 'delete',
}

test('as JSON, whatever is configured; a message whose broker does not answer waits and uses up no attempt', async () => {
  const env = { ...NO_BROKER, ...ELSEWHERE, REPORTS_DIR: join(cwd, 'elsewhere') }
  const { code, out, err } = await demo(['--json'], { env })
  expect(code, err).toBe(0)
  const results = told(out)
  expect(outcomesIn(results)).toEqual(outcomes(WAITING))
  expect(
    results.payments.map((one) => [
      one.reference,
      one.status,
      one.amount,
      one.captured,
      one.refunded,
      one.error,
    ]),
  ).toEqual(PAYMENTS)
  // The message of the first was delivered twice, and still its provider has it once.
  expect(results.payments.map(({ timesAtProvider }) => timesAtProvider)).toEqual([1, 1, 1, 1, 1])
  expect(results.payments.map(({ deliveries }) => deliveries)).toEqual([2, 1, 1, 1, 1])
  expect(results.amqp).toMatchObject({ arrived: [], missing: expect.stringMatching(/refuses connections/) })
  expect(readdirSync(cwd).sort()).toEqual(['.queue-worker', 'tmp'])

  const files = new Map(results.messages.map(({ message, file }) => [message, file]))
  const read = (message: string) => readFile(files.get(message) ?? '')
  expect((await read('a welcome mail, from a template')).toString()).toMatch(/Hello Ada,/)
  const pdf = await read('daily volume, as PDF, by mail')
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
  const mail = await simpleParser(await read('the mail that brings the PDF'))
  expect(mail.subject).toBe('Daily volume')
  expect(mail.attachments.map(({ content }) => content.equals(pdf))).toEqual([true])
  expect((await read('failures, as XLSX')).subarray(0, 4)).toEqual(Buffer.from('PK\u0003\u0004'))
  const csv = (await read('processing times, as CSV')).toString()
  for (const queue of ['email_queue', 'http_callbacks', 'payments']) {
    expect(csv).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\d,${queue},\\d+,`, 'm'))
  }
})

const hasRabbit = withoutRabbit === ''
const isRoot = process.getuid?.() === 0
/** In a world where RabbitMQ is not installed, if this is not one: its folder is hidden from the demo alone. */
const HIDING = `mount -t tmpfs none "$(dirname "$0")" && exec "$@"`
const demoWithoutRabbit: readonly [string, ...string[]] = hasRabbit
  ? ['unshare', '-m', 'sh', '-c', HIDING, findRabbitmq() ?? '', process.execPath, entry]
  : [process.execPath, entry]

test.skipIf(hasRabbit && !isRoot)('where no RabbitMQ is installed it says how to get one', async () => {
  const { code, out, err } = await demo([], { command: demoWithoutRabbit })
  expect(code, err).toBe(0)
  expect(out).toMatch(/^amqp +\d+ +an event for RabbitMQ +waits for a broker +0$/m)
  expect(out).toMatch(/^AMQP: the message waits in its queue, and uses up no attempt/m)
  expect(out).toMatch(/apt-get install rabbitmq-server.*AMQP_URL/)
  expect(err).not.toMatch(/RabbitMQ/)
})

test('a RabbitMQ that does not start is told, and the rest goes on', async () => {
  const nowhere = join(cwd, 'nowhere')
  const { code, out, err } = await demo(['--json'], {
    env: { PATH: nowhere },
    command: [process.execPath, entry],
  })
  expect(code, err).toBe(0)
  const results = told(out)
  expect(outcomesIn(results)).toEqual(outcomes(WAITING))
  expect(results.amqp.missing).toMatch(
    /^(No RabbitMQ is installed|The RabbitMQ of this machine cannot be used)/,
  )
})

test.skipIf(withoutRabbit !== '')(
  `the broker of AMQP_URL is used, with its password kept, and nothing stays there${withoutRabbit}`,
  async () => {
    const rabbit = await startRabbit()
    try {
      await rabbit.ctl('add_user', 'shop', 'a-secret-of-the-shop')
      await rabbit.ctl('set_permissions', 'shop', '.*', '.*', '.*')
      const AMQP_URL = `amqp://shop:a-secret-of-the-shop@127.0.0.1:${rabbit.port}`
      const { code, out, text, err } = await demo(['--json'], { env: { AMQP_URL } })
      expect(code, err).toBe(0)
      const results = told(out)
      expect(outcomesIn(results)).toEqual(outcomes(PUBLISHED))
      // What an earlier run left waiting may have come too.
      expect(results.amqp.arrived).toContainEqual({
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        type: 'order.paid',
        body: '{"order":"order-1001"}',
      })
      expect(err).not.toMatch(/Starting the RabbitMQ/)
      expect(text).not.toContain('a-secret-of-the-shop')
      await until('its queue is gone', async () => !/queue_worker_demo/.test(await rabbit.ctl('list_queues')))
    } finally {
      await rabbit.stop()
    }
  },
)

test('Ctrl-C ends the demo and everything it started', async () => {
  const interrupted = start(['demo'], { cwd, env: { TMPDIR: tmp } })
  await interrupted.says(/Sending messages/)
  interrupted.interrupt()
  expect(await interrupted.ended).toBe(1)
  expect(interrupted.err()).toMatch(/Interrupted\. What is not finished stays in its queue/)
  await nothingRunsIn(cwd)
})

test.skipIf(withoutRabbit !== '')(`Ctrl-C while RabbitMQ starts ends it too${withoutRabbit}`, async () => {
  const interrupted = start(['demo'], { cwd, env: { TMPDIR: tmp } })
  await interrupted.says(/Starting the RabbitMQ/)
  interrupted.interrupt()
  expect(await interrupted.ended).toBe(1)
  await nothingRunsIn(cwd)
})

test.skipIf(!hasRabbit)(`a demo that is killed leaves no broker running${withoutRabbit}`, async () => {
  const killed = start(['demo'], { cwd, env: { TMPDIR: tmp } })
  await killed.says(/Sending messages/)
  expect(processesIn(tmp).map(({ command }) => command)).toContainEqual(expect.stringMatching(/beam/))
  killed.signal('SIGKILL')
  await killed.ended
  await until('nothing runs any more', () => processesIn(cwd).length === 0)
  for (const name of readdirSync(tmp)) rmSync(join(tmp, name), { recursive: true })
})

test.each(['stack', 'dev'])('the demo also works while %s runs in the same folder', async (command) => {
  const other = start([command], { cwd, env: { PORT: String(await freePort()) } })
  await other.says(command === 'dev' ? /reads email_queue/ : /Press Ctrl-C/)
  const { code, out, err } = await demo(['--json'], { env: NO_BROKER })
  expect(code, err).toBe(0)
  expect(err).toMatch(/runs already, in another process.*demo_email_queue/s)
  const results = told(out)
  expect(new Set(results.messages.map(({ queue }) => queue.slice(0, 5)))).toEqual(new Set(['demo_']))
  expect(outcomesIn(results, 'demo_')).toEqual(outcomes(WAITING))
  expect(other.running()).toBe(true)
  other.signal('SIGTERM')
  expect(await other.ended).toBe(0)
})
