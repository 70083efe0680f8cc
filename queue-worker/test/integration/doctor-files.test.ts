/** The doctor at a folder: `.env` and the files beside it, its output, its report, and that it keeps secrets. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Env, endAll, folder, freePort, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { visit } from '../support/doctor.ts'
import { listenOn } from '../support/ports.ts'
import { startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { scheduleStack } from '../support/schedules.ts'
import { startRawSmtp } from '../support/smtp.ts'
import { until } from '../support/worker.ts'

/** Its own: the doctor looks at all workers and schedulers of a database, and tests kill theirs. */
const stack = await scheduleStack()
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
let cwd = ''
beforeEach(async () => {
  cwd = await folder('queue-worker-doctor-')
})
afterEach(async () => {
  await endAll()
  await removeFolder(cwd)
})
afterAll(async () => {
  await sql.end()
  await stack.dispose()
})

const { host, port, user, pass } = stack.smtp
const SMTP = {
  SMTP_HOST: host,
  SMTP_PORT: String(port),
  SMTP_USER: user,
  SMTP_PASS: pass,
  SMTP_FROM: 'a@example.com',
}
/** Leads nowhere, at once. */
const NOWHERE = {
  SUPABASE_URL: 'http://127.0.0.1:1',
  SUPABASE_SECRET_KEY: 'sb_secret_n0where_0123456789',
  ...SMTP,
}
const writeEnv = (env: Env, mode: number) => {
  writeFileSync(
    join(cwd, '.env'),
    Object.entries(env)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(''),
  )
  chmodSync(join(cwd, '.env'), mode)
}
const git = (...args: string[]) => execFileSync('git', args, { cwd, stdio: 'ignore' })
const ofFiles = ({ examination }: Awaited<ReturnType<typeof visit>>) =>
  examination.checks.find(({ check }) => check === 'deployment-files')?.findings.map(({ id }) => id)

describe('files', () => {
  test('without .env and settings it names both; --fix makes .env, for its user alone, and what else is missing', async () => {
    const seen = await visit(cwd, {})
    expect(seen.code).toBe(3)
    expect(seen.problems).toEqual([
      'env_file_missing',
      ...['file_missing', 'file_missing', 'file_missing'],
      'settings_wrong',
      'settings_wrong',
    ])
    expect(seen.told).toMatch(/no connection is configured → Set SUPABASE_URL/)
    expect(seen.examination.counts.skipped).toBeGreaterThan(10)
    expect(readdirSync(cwd)).toEqual([])

    const mending = await visit(cwd, {}, ['--fix'])
    expect(mending.mended).toEqual([
      'created .env from .env.example, for your user alone; now fill it in',
      'restored .env.example',
      'restored templates',
      'restored ecosystem.config.js',
    ])
    expect(mending.code).toBe(3)
    expect(statSync(join(cwd, '.env')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(cwd, '.env'), 'utf8')).toMatch(/#SUPABASE_URL=/)
    expect(readdirSync(join(cwd, 'templates'))).toContain('welcome.text.liquid')
    const again = await visit(cwd, {}, ['--fix'])
    expect([again.mended, ofFiles(again)]).toEqual([[], ['env_file_ok']])
  })

  test('what is there already is never written over', async () => {
    mkdirSync(join(cwd, 'templates'))
    writeFileSync(join(cwd, 'templates', 'mine.text.liquid'), 'mine')
    writeEnv(NOWHERE, 0o600)
    const { mended } = await visit(cwd, {}, ['--fix'])
    expect(mended).toEqual(['restored .env.example', 'restored ecosystem.config.js'])
    expect(readdirSync(join(cwd, 'templates'))).toEqual(['mine.text.liquid'])
    expect(readFileSync(join(cwd, '.env'), 'utf8')).toMatch(/n0where/)
  })

  test('.env that others can read: named, also by check, and closed by --fix', async () => {
    writeEnv(NOWHERE, 0o644)
    expect(ofFiles(await visit(cwd, {}))).toContain('env_file_readable')
    const checked = await run(['check'], { cwd })
    expect(checked.code).toBe(0)
    expect(checked.out).toMatch(
      /! \.env can be read by every user of this machine\n.*\n {4}→ Take the right away: chmod o=/,
    )
    const { mended } = await visit(cwd, {}, ['--fix'])
    expect(mended).toContain('took the rights on .env away from all other users')
    expect(statSync(join(cwd, '.env')).mode & 0o777).toBe(0o640)
    expect(ofFiles(await visit(cwd, {}))).toContain('env_file_ok')
  })

  test('.env that git does not ignore, and then has', async () => {
    git('init', '-q')
    writeEnv(NOWHERE, 0o600)
    expect(ofFiles(await visit(cwd, {}))).toContain('env_file_not_ignored')
    git('add', '.env')
    const seen = await visit(cwd, {})
    expect(ofFiles(seen)).toContain('env_file_in_git')
    expect(seen.told).toMatch(/replace every key and password/)
    const checked = await run(['check', '--json'], { cwd })
    expect([checked.code, JSON.parse(checked.out)]).toEqual([3, expect.objectContaining({ ok: false })])
    git('rm', '-q', '--cached', '.env')
    writeFileSync(join(cwd, '.gitignore'), '.env\n')
    expect(ofFiles(await visit(cwd, {}))).toContain('env_file_ok')
  })
})

describe('a checkout', () => {
  const touch = (path: string, seconds = Date.now() / 1000) => {
    mkdirSync(dirname(join(cwd, path)), { recursive: true })
    writeFileSync(join(cwd, path), '')
    utimesSync(join(cwd, path), seconds, seconds)
  }
  const ofBuild = ({ examination }: Awaited<ReturnType<typeof visit>>) =>
    examination.checks.find(({ check }) => check === 'build')?.findings.map(({ id }) => id)

  test('what was never built, or before its sources changed', async () => {
    touch('queue-worker/src/index.ts')
    const unbuilt = await visit(cwd, NOWHERE)
    expect([unbuilt.code, ofBuild(unbuilt)]).toEqual([1, ['build_missing']])
    touch('dist/index.js', Date.now() / 1000 - 60)
    expect(ofBuild(await visit(cwd, NOWHERE))).toEqual(['build_old'])
    touch('dist/index.js', Date.now() / 1000 + 60)
    expect(ofBuild(await visit(cwd, NOWHERE))).toEqual(['build_ok'])
  })

  test('has more files, which git brings back', async () => {
    touch('queue-worker/src/index.ts')
    const { findings, mended } = await visit(cwd, NOWHERE, ['--fix'])
    const missing = findings.filter(({ id }) => id === 'file_missing')
    expect(missing.map(({ what }) => what.split(' ')[0])).toEqual([
      ...['.env.example', 'templates', 'ecosystem.config.js', 'Dockerfile', '.dockerignore'],
      ...['docker-compose.yml', 'railway.json', 'deploy'],
    ])
    for (const { what, how } of missing) expect(how).toContain(`git checkout -- ${what.split(' ')[0]}`)
    expect(mended).toEqual([])
  })

  test('each platform that would kill a worker before it has stopped is named', async () => {
    const paths = ['ecosystem.config.js', 'docker-compose.yml', 'railway.json', 'deploy']
    for (const path of paths) cpSync(join(projectRoot, path), join(cwd, path), { recursive: true })
    const short = async (drainMs: number) => {
      const { findings } = await visit(cwd, { ...NOWHERE, WORKER_DRAIN_TIMEOUT_MS: String(drainMs) })
      return findings.filter(({ id }) => id === 'stop_limit_short').map(({ what, how }) => `${what} → ${how}`)
    }
    expect(await short(25_000)).toEqual([])
    const found = await short(60_000)
    expect(found).toHaveLength(5)
    expect(found[0]).toMatch(
      /^kill_timeout in ecosystem\.config\.js is 60 s; a stop may take 95 s → Raise it to 95000/,
    )
    expect(found[4]).toMatch(
      /^terminationGracePeriodSeconds in deploy\/kubernetes\/worker\.yaml is 60 s.*Raise it to 95,/,
    )
  })
})

describe('output', () => {
  test('for people: grouped, the remedy below each finding, what was not looked at in one line, a summary', async () => {
    const { code, out, err } = await run(['doctor'], { cwd, env: NOWHERE })
    expect([code, err]).toEqual([1, ''])
    expect(out).toMatch(
      /^Connection\n {2}✗ 127\.0\.0\.1:1: nothing accepts connections there \(refused\)\n {4}A worker cannot reach its database\.\n {4}→ Check that the server runs/m,
    )
    expect(out).toMatch(/^ {2}– not looked at: tls, login, wake-up \(mend what was found for tcp first\)$/m)
    expect(out).toMatch(/^1 error, 3 notes, \d in order, \d+ not looked at\.$/m)
    expect(out).toMatch(/--fix mends what it safely can of: deployment-files\.$/m)
    expect(out).not.toContain('\u001b[')
  })

  test('colours at a terminal alone, and not with NO_COLOR', async () => {
    const script = (env: Env) => {
      const command = `${process.execPath} ${join(import.meta.dirname, '../../src/index.ts')} doctor`
      return execFileSync('sh', ['-c', `script -qec '${command}' /dev/null || true`], {
        cwd,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, ...NOWHERE, ...env },
      })
    }
    expect(script({})).toContain('\u001b[31m✗\u001b[0m')
    const plain = script({ NO_COLOR: '1' })
    expect(plain).toContain('✗')
    expect(plain).not.toContain('\u001b[')
  })

  test('--report writes a dated file, as Markdown or as JSON', async () => {
    const { err } = await run(['doctor', '--report'], { cwd, env: NOWHERE })
    const [name = ''] = readdirSync(join(cwd, 'reports'))
    expect(name).toMatch(/^doctor-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.md$/)
    expect(err).toContain(`wrote ${join(cwd, 'reports', name)}`)
    expect(readFileSync(join(cwd, 'reports', name), 'utf8')).toMatch(
      /^- \*\*error\*\* `port_closed`: 127\.0\.0\.1:1/m,
    )
    const { out } = await run(['doctor', '--report', 'elsewhere', '--json'], { cwd, env: NOWHERE })
    const [json = ''] = readdirSync(join(cwd, 'elsewhere'))
    expect(JSON.parse(readFileSync(join(cwd, 'elsewhere', json), 'utf8'))).toEqual(JSON.parse(out))
    const full = await run(['doctor', '--report', join('reports', name)], { cwd, env: NOWHERE })
    expect([full.code, full.err]).toEqual([
      3,
      expect.stringMatching(/the report cannot be written[\s\S]*--report <folder>/),
    ])
  })
})

test('--strict ends with 1 for a warning', async () => {
  await sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "email_queue"}')`
  const env = {
    ...connectionEnv('rpc', stack),
    ...SMTP,
    SMTP_SECURE: 'false',
    SMTP_REQUIRE_TLS: 'false',
    TYPO_WORKER_ID: '1',
    WORKER_CONCURENCY: '3',
  }
  const plain = await visit(cwd, env)
  expect(plain.problems).toContain('settings_odd')
  expect(plain.examination.counts.error, plain.told).toBe(0)
  expect([plain.code, (await visit(cwd, env, ['--strict'])).code]).toEqual([0, 1])
})

test('--send-mail sends one, and without it none is sent', async () => {
  const mails = () => readdirSync(stack.mailDirectory).length
  const before = mails()
  const env = { ...connectionEnv('postgres', stack), ...SMTP }
  await visit(cwd, env)
  expect(mails()).toBe(before)
  const { findings } = await visit(cwd, env, ['--send-mail', 'ann@example.com'])
  expect(findings.find(({ id }) => id === 'mail_sent')?.what).toMatch(/took a mail to ann@example\.com/)
  const found = readdirSync(stack.mailDirectory).map((name) =>
    readFileSync(join(stack.mailDirectory, name), 'utf8'),
  )
  expect(
    found.filter((mail) => mail.includes('Subject: queue-worker doctor') && mail.includes('ann@example.com')),
  ).toHaveLength(1)
  const refused = await visit(cwd, env, ['--send-mail', 'refused@example.com'])
  expect(refused.problems).toContain('mail_refused')
})

test('Ctrl-C in the middle: the check is ended, the rest not begun, nothing stays behind', async () => {
  const probes = async () =>
    (
      await sql`select from pg_class where relname ~ '^q_doctor_[0-9a-f]{16}$' and relnamespace = 'pgmq'::regnamespace`
    ).length
  const cli = start(['doctor', '--json'], { cwd, env: { ...connectionEnv('rpc', stack), ...SMTP } })
  await until('the probe is under way', async () => (await probes()) > 0)
  cli.interrupt()
  expect(await cli.ended, cli.text()).toBe(0)
  expect(cli.err()).toMatch(/Stopping after this check/)
  expect(await probes()).toBe(0)
})

describe.skipIf(withoutRabbit !== '')(`the broker${withoutRabbit}`, () => {
  let rabbit: Awaited<ReturnType<typeof startRabbit>> | undefined
  afterAll(() => rabbit?.stop())

  test('lets in, and refuses a wrong password', async () => {
    rabbit = await startRabbit()
    const env = { ...connectionEnv('postgres', stack), AMQP_URL: rabbit.url }
    const good = await visit(cwd, env)
    expect(good.findings.find(({ id }) => id === 'broker_ok')?.what).toMatch(/lets us in as guest, vhost \//)
    const wrong = await visit(cwd, { ...env, AMQP_URL: `amqp://guest:n0t-it@127.0.0.1:${rabbit.port}` })
    expect(wrong.problems).toContain('broker_login_refused')
    expect(wrong.text).not.toContain('n0t-it')
  })
})

test('no secret of any setting gets out, also where every other side repeats what it was sent', async () => {
  // Answers with all headers, plain and decoded.
  const parrot = createServer((request, response) => {
    const { authorization = '' } = request.headers
    const said = `${authorization} ${Buffer.from(authorization.split(' ')[1] ?? '', 'base64')} ${request.headers.apikey}`
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ message: said, error: { message: said, type: 'x' }, description: said }))
  })
  await listenOn(parrot, 0)
  const address = parrot.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const heard: string[] = []
  const smtp = await startRawSmtp((command) => {
    heard.push(
      command,
      Buffer.from(command.split(' ').at(-1) ?? '', 'base64')
        .toString()
        .replaceAll('\0', ' '),
    )
    if (command.startsWith('EHLO')) return '250-raw.example\r\n250 AUTH PLAIN LOGIN'
    return command === 'GREETING'
      ? '220 raw.example'
      : `535 not with ${heard.join(' ').replace(/[\r\n]/g, ' ')}`
  })
  const secrets = {
    SUPABASE_SECRET_KEY: 'sb_secret_Pl4nted_in_supabase_key',
    SMTP_PASS: 'pl4nted/smtp=pass word',
    STRIPE_SECRET_KEY: 'sk_live_pl4ntedStripeKey000',
    STRIPE_WEBHOOK_SECRET: 'whsec_pl4ntedWebhookSecret0',
    YOOKASSA_SECRET_KEY: 'live_pl4ntedYookassaKey0000',
    HTTP_CALLBACKS_SECRET: `whsec_${Buffer.from('pl4nted callbacks secret 32 bytes').toString('base64')}`,
  }
  const databasePassword = 'pl4nted:db@pass'
  const brokerPassword = 'pl4nted&broker'
  const env = {
    ...secrets,
    SUPABASE_URL: url,
    DATABASE_URL: `postgresql://u:${encodeURIComponent(databasePassword)}@127.0.0.1:${await freePort()}/d`,
    AMQP_URL: `amqp://u:${encodeURIComponent(brokerPassword)}@127.0.0.1:${await freePort()}`,
    ...{
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(smtp.port),
      SMTP_USER: 'mailer',
      SMTP_FROM: 'a@example.com',
    },
    ...{
      PAYMENTS_PROVIDER: 'stripe',
      STRIPE_API_URL: url,
      YOOKASSA_API_URL: `${url}/v3`,
      YOOKASSA_SHOP_ID: '506751',
    },
    REPORTS_BUCKET: 'reports',
    PORT: 'off',
  }
  const planted = [...Object.values(secrets), databasePassword, brokerPassword]
  const forms = planted.flatMap((one) => [
    one,
    encodeURIComponent(one),
    Buffer.from(one).toString('base64').replace(/=+$/, ''),
  ])
  const seen = await visit(cwd, env, ['--fix', '--report'])
  const people = await run(['doctor'], { cwd, env })
  const strict = await visit(cwd, { ...env, QUEUE_TRANSPORT: 'postgres', LOG_LEVEL: 'loud' })
  const reports = existsSync(join(cwd, 'reports'))
    ? readdirSync(join(cwd, 'reports')).map((name) => readFileSync(join(cwd, 'reports', name), 'utf8'))
    : []
  expect(reports).toHaveLength(1)
  for (const text of [seen.text, people.text, strict.text, ...reports]) {
    for (const form of forms) expect(text.includes(form), `found ${form} in ${text}`).toBe(false)
  }
  // They did repeat it.
  expect(heard.join(' ')).toContain('pl4nted/smtp=pass word')
  expect(seen.text.match(/\[redacted\]/g)?.length).toBeGreaterThan(3)
  expect(seen.problems).toEqual(
    expect.arrayContaining([
      'mail_login_refused',
      'provider_key_refused',
      'broker_unreachable',
      'bucket_unusable',
    ]),
  )
  await smtp.stop()
  parrot.closeAllConnections()
  parrot.close()
})
