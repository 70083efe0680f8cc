/** The files for Railway and Kubernetes fit their schemas, and every platform waits long enough for a worker that stops. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import { Deployment } from 'kubernetes-models/apps/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { describe, expect, test, vi } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { projectRoot } from '../support/cli.ts'

const read = (path: string) => readFileSync(join(projectRoot, path), 'utf8')
const KUBERNETES = ['worker', 'scheduler', 'keda'].map((name) => `deploy/kubernetes/${name}.yaml`)
type Resource = { kind: string; metadata: { name: string }; [field: string]: unknown }
const resources = (path: string): Resource[] => parseAllDocuments(read(path)).map((one) => one.toJS())

/**
 * Railway publishes its schema at the address that the files name, which cannot be asked from here. This is what its reference
 * (docs.railway.com/config-as-code/reference, August 2026) says of the fields that are used; seconds are numbers, whatever its examples show.
 */
const railway = z.strictObject({
  $schema: z.literal('https://railway.com/railway.schema.json'),
  build: z.strictObject({ builder: z.enum(['RAILPACK', 'DOCKERFILE']), dockerfilePath: z.string() }),
  deploy: z.strictObject({
    preDeployCommand: z.array(z.string()).optional(),
    startCommand: z.string(),
    healthcheckPath: z.string().startsWith('/'),
    healthcheckTimeout: z.int().positive(),
    restartPolicyType: z.enum(['ON_FAILURE', 'ALWAYS', 'NEVER']),
    restartPolicyMaxRetries: z.int(),
    overlapSeconds: z.int(),
    drainingSeconds: z.int(),
  }),
})

describe('pm2', () => {
  const apps = async (files: Readonly<Record<string, string>>) => {
    const cwd = await mkdtemp(join(tmpdir(), 'queue-worker-pm2-'))
    try {
      for (const [path, text] of Object.entries({ ...files, 'package.json': '{"type": "module"}' })) {
        await mkdir(dirname(join(cwd, path)), { recursive: true })
        await writeFile(join(cwd, path), text)
      }
      await cp(join(projectRoot, 'ecosystem.config.js'), join(cwd, 'ecosystem.config.js'))
      const found: { apps: Record<string, unknown>[] } = await import(join(cwd, 'ecosystem.config.js'))
      return found.apps
    } finally {
      await rm(cwd, { recursive: true })
    }
  }
  const ports = (all: Record<string, unknown>[]) =>
    all.map(({ env, increment_var }) => [(env as { PORT: string }).PORT, increment_var])

  test('the program is found where it was built, and where it was installed', async () => {
    const built = await apps({ 'dist/index.js': '', 'node_modules/.bin/node': '' })
    expect(built[0]).toMatchObject({
      script: 'dist/index.js',
      interpreter: expect.stringMatching(/node_modules\/\.bin\/node$/),
    })
    const there = await apps({ 'node_modules/queue-worker/dist/index.js': '' })
    expect(there[1]).toMatchObject({
      script: 'node_modules/queue-worker/dist/index.js',
      interpreter: process.execPath,
    })
  })

  test('ports: that of .env and the one before, or none', async () => {
    vi.stubEnv('PORT', undefined)
    expect(ports(await apps({}))).toEqual([
      ['8080', 'PORT'],
      ['8079', undefined],
    ])
    expect(ports(await apps({ '.env': 'PORT=9000\n' }))).toEqual([
      ['9000', 'PORT'],
      ['8999', undefined],
    ])
    expect(ports(await apps({ '.env': 'PORT=off\n' }))).toEqual([
      ['off', undefined],
      ['off', undefined],
    ])
    vi.unstubAllEnvs()
  })
})

describe('Railway', () => {
  test.each([
    ['railway.json', 'worker'],
    ['deploy/railway/scheduler.json', 'scheduler'],
  ])('%s runs the %s of the image, and is restarted ten times after failures', (path, command) => {
    const { build, deploy } = railway.parse(JSON.parse(read(path)))
    expect(existsSync(join(projectRoot, build.dockerfilePath))).toBe(true)
    expect(deploy.startCommand).toBe(`node dist/index.js ${command}`)
    expect(deploy).toMatchObject({
      healthcheckPath: '/health',
      restartPolicyType: 'ON_FAILURE',
      restartPolicyMaxRetries: 10,
    })
  })
})

describe('Kubernetes', () => {
  const MODELS = { Deployment, PodDisruptionBudget, ScaledObject, TriggerAuthentication } as const
  const validate = (resource: Resource) => {
    const Model = MODELS[resource.kind as keyof typeof MODELS] as new (data: object) => { validate(): void }
    new Model(resource).validate()
  }

  test.each(KUBERNETES)('%s fits the schemas of Kubernetes and KEDA', (path) => {
    const all = resources(path)
    expect(all.length).toBeGreaterThan(0)
    for (const resource of all) expect(() => validate(resource), resource.kind).not.toThrow()
  })

  test('a wrong field would be found', () => {
    const [deployment] = resources('deploy/kubernetes/worker.yaml')
    expect(() => validate({ ...deployment, spec: { replicas: 'two' } } as unknown as Resource)).toThrow(
      /replicas/,
    )
  })

  test('what names another is there: resources, labels, the target of the scaler', () => {
    const { resources: files } = parse(read('deploy/kubernetes/kustomization.yaml'))
    for (const file of files) expect(existsSync(join(projectRoot, 'deploy/kubernetes', file))).toBe(true)
    const [worker, budget] = resources('deploy/kubernetes/worker.yaml')
    const spec = z.looseObject({ selector: z.looseObject({ matchLabels: z.record(z.string(), z.string()) }) })
    expect(spec.parse(budget?.spec).selector).toEqual(spec.parse(worker?.spec).selector)
    const scaled = resources('deploy/kubernetes/keda.yaml').find(({ kind }) => kind === 'ScaledObject')
    expect(scaled?.spec).toMatchObject({ scaleTargetRef: { name: worker?.metadata.name } })
  })

  test('probes: alive is /livez, able to work is /readyz', () => {
    for (const path of KUBERNETES.slice(0, 2)) {
      expect(resources(path)[0]?.spec).toMatchObject({
        template: {
          spec: {
            containers: [
              {
                livenessProbe: { httpGet: { path: '/livez' } },
                readinessProbe: { httpGet: { path: '/readyz' } },
              },
            ],
          },
        },
      })
    }
  })
})

/** Where each platform says how long it waits between asking a worker to stop and killing it, in seconds. */
const STOPS: readonly [path: string, pattern: RegExp, unit: number][] = [
  ['ecosystem.config.js', /kill_timeout: ([\d_]+)/, 1000],
  ['docker-compose.yml', /stop_grace_period: (\d+)s/, 1],
  ['deploy/systemd/queue-worker.service', /TimeoutStopSec=(\d+)/, 1],
  ['deploy/systemd/queue-scheduler.service', /TimeoutStopSec=(\d+)/, 1],
  ['railway.json', /"drainingSeconds": (\d+)/, 1],
  ['deploy/railway/scheduler.json', /"drainingSeconds": (\d+)/, 1],
  ['deploy/kubernetes/worker.yaml', /terminationGracePeriodSeconds: (\d+)/, 1],
  ['deploy/kubernetes/scheduler.yaml', /terminationGracePeriodSeconds: (\d+)/, 1],
]

test.each(STOPS)('%s waits 35 s longer than the drain limit', (path, pattern, unit) => {
  const { drainTimeoutMs } = loadConfig({}).worker
  const seconds = Number(pattern.exec(read(path))?.[1]?.replaceAll('_', '')) / unit
  expect(seconds).toBeGreaterThanOrEqual(drainTimeoutMs / 1000 + 35)
})

test('every page is run by a test, or says what was not tried', () => {
  const run = ['README.md', 'pm2.md', 'systemd.md']
  const pages = readdirSync(join(projectRoot, 'docs/deployment')).filter((page) => !run.includes(page))
  expect(pages.toSorted()).toEqual(['docker.md', 'kubernetes.md', 'railway.md'])
  for (const page of pages) {
    const [, tried = ''] =
      /^## What was tried, and what was not\n([\s\S]*)/m.exec(read(`docs/deployment/${page}`)) ?? []
    expect(tried, page).toMatch(/Not tried: /)
  }
})
