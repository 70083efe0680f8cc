/**
 * The Dockerfile and docker-compose.yml. There is no engine here: the files are checked by linters and schemas, and each step
 * of the Dockerfile is done by hand, in an empty folder; what comes out runs as another user who may write nothing in it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { validate } from 'dockerfile-utils'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { endAll, freePort, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { commandsOf } from '../support/doc-commands.ts'
import { buildByHand, dockerfileText, execForm, imageEnv, instructions } from '../support/dockerfile.ts'
import { migratedStack, type TestStack } from '../support/stack.ts'
import { until } from '../support/worker.ts'

const ofNode = JSON.parse(readFileSync(join(projectRoot, 'node_modules/node/package.json'), 'utf8'))

describe('the Dockerfile', () => {
  test('has nothing that its linter complains of', () => {
    expect(validate(dockerfileText, {})).toEqual([])
  })

  test('is pinned to the Node that is tested here, and ends as a user without rights', () => {
    const images = instructions('FROM').map((one) => one.getArguments()[0]?.getValue())
    expect(new Set(images)).toEqual(new Set([`node:${ofNode.version}-bookworm-slim`]))
    expect(instructions('USER').at(-1)?.getRawArgumentsContent()).toBe('node')
  })
})

describe('what the Dockerfile builds', () => {
  /** Of its own, as the queue of a processor that comes with the product is everybody's. */
  let stack: TestStack
  const path = `${join(projectRoot, 'node_modules/.bin')}:${process.env.PATH}`
  let app = ''
  beforeAll(async () => {
    stack = await migratedStack()
    app = await buildByHand({ PATH: path, HOME: process.env.HOME, npm_config_prefer_offline: 'true' })
  }, 300_000)
  afterAll(async () => {
    await endAll()
    await stack.dispose()
    await removeFolder(app)
  })

  /** As the user of the image, as far as this user may become another. */
  const asNobody =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []
  const command = (): [string, ...string[]] => {
    const [program = '', ...args] = [...asNobody, ...execForm('ENTRYPOINT')]
    return [program, ...args]
  }
  const env = (more: Record<string, string>) => ({
    ...imageEnv(),
    QUEUES: 'http_callbacks',
    ...more,
    PATH: path,
  })

  test('says what is missing, by its usual command', async () => {
    const { code, err } = await run(execForm('CMD'), {
      cwd: app,
      command: command(),
      env: env({ QUEUES: '' }),
    })
    expect([code, err]).toEqual([3, expect.stringMatching(/no connection is configured/)])
  })

  test('checks settings, works, answers its health check, and hears SIGTERM', async () => {
    const port = String(await freePort())
    const settings = env({ ...connectionEnv('rpc', stack), PORT: port })
    const checked = await run(['check'], { cwd: app, command: command(), env: settings })
    expect([checked.code, checked.out]).toEqual([0, expect.stringMatching(/The settings are in order/)])
    const [probe = '', ...probeArgs] = execForm('HEALTHCHECK')
    const healthy = async () => (await run(probeArgs, { cwd: app, command: [probe], env: settings })).code
    expect(await healthy()).toBe(1)
    const worker = start(['worker'], { cwd: app, command: command(), env: settings })
    await worker.says(/reads http_callbacks/)
    await until('it is healthy', async () => (await healthy()) === 0)
    worker.signal('SIGTERM')
    expect(await worker.ended, worker.text()).toBe(0)
  })

  test('brings the migrations, and neither tests nor settings', async () => {
    const listed = execFileSync('find', ['.', '-maxdepth', '2', '-not', '-path', './node_modules/*'], {
      cwd: app,
      encoding: 'utf8',
    })
    expect(listed).toMatch(/\.\/supabase\/migrations\n/)
    expect(listed).not.toMatch(/queue-worker|\.env\n|scripts/)
    expect(execFileSync('du', ['-sm', app], { encoding: 'utf8' }).split('\t').map(Number)[0]).toBeLessThan(
      120,
    )
  })
})

type Service = Record<string, unknown> & { image?: string; build?: string; profiles?: string[] }
const compose: { services: Record<string, Service> } = parse(
  readFileSync(join(projectRoot, 'docker-compose.yml'), 'utf8'),
  { merge: true },
)

describe('docker-compose.yml', () => {
  test('fits the schema of Compose, and has nothing that its linter complains of', async () => {
    // The order of keys, and of services, is ours; an image that is built here has no version.
    const own = [
      'service-keys-order',
      'services-alphabetical-order',
      'top-level-properties-order',
      'require-quotes-in-ports',
    ]
    const built = ['no-build-and-image', 'service-image-require-explicit-tag']
    const rules = [...own, ...built].flatMap((rule) => ['--disable-rule', rule])
    const { code, text } = await run([...rules, '--max-warnings', '0', 'docker-compose.yml'], {
      cwd: projectRoot,
      command: [join(projectRoot, 'node_modules/.bin/dclint')],
    })
    expect(code, text).toBe(0)
  })

  test('workers can be several: no name and no port of the machine', () => {
    const { 'queue-worker': worker, 'queue-scheduler': scheduler } = compose.services
    for (const service of [worker, scheduler]) {
      expect(service).not.toHaveProperty('container_name')
      expect(service).not.toHaveProperty('ports')
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '60s' })
      expect(service).not.toHaveProperty('profiles')
    }
    const others = Object.values(compose.services).filter((one) => one !== worker && one !== scheduler)
    for (const service of others) expect(service.profiles).toEqual(['local'])
  })

  test('what docs/deployment/docker.md runs is there: services, the profile, its settings', () => {
    const commands = commandsOf('docs/deployment/docker.md').filter((one) => one.includes('docker compose '))
    const named = commands.flatMap((command) => [
      ...[...command.matchAll(/--scale ([a-z-]+)=/g)].map(([, name]) => name),
      ...[...command.matchAll(/\b(?:exec|stop|logs -f|run --rm) ([a-z][a-z-]*)/g)].map(([, name]) => name),
    ])
    expect(named.length).toBeGreaterThan(5)
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(named))
    const files = commands.flatMap((command) => /ENV_FILE=(\S+)/.exec(command)?.[1] ?? [])
    expect(files.map((file) => existsSync(join(projectRoot, file)))).toEqual([true])
  })

  test('images are pinned, and ports are those of this machine alone', () => {
    for (const { image = '', build, ports } of Object.values(compose.services)) {
      if (build === undefined) expect(image).toMatch(/:v?\d+\.\d+\.\d+/)
      for (const port of (ports as string[] | undefined) ?? []) expect(port).toMatch(/^127\.0\.0\.1:/)
    }
  })
})
