/** The reverse proxies of docs/dashboard.md, as they stand there, before a dashboard. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endAll, folder, freePort, projectRoot, removeFolder, start } from '../support/cli.ts'
import { ADMIN, BROWSER, type DoorBench, openDoor, seenBy } from '../support/dashboard-door.ts'
import { listenOn } from '../support/ports.ts'
import { until } from '../support/worker.ts'

const without = (program: string, flag: string) =>
  spawnSync(program, [flag]).error === undefined
    ? ''
    : ` (skipped: no ${program}; apt-get install ${program})`
const withoutNginx = without('nginx', '-v')
const withoutCaddy = without('caddy', 'version')

const page = readFileSync(join(projectRoot, 'docs/dashboard.md'), 'utf8')
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block)
const here = (block: string | undefined, port: number) =>
  (block ?? '').replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)

let cwd = ''
const opened: DoorBench[] = []
beforeAll(async () => {
  cwd = await folder('queue-worker-proxies-')
})
afterAll(async () => {
  await endAll()
  await Promise.all(opened.map((door) => door.close()))
  await removeFolder(cwd)
})

async function door(...args: Parameters<typeof openDoor>): Promise<DoorBench> {
  const one = await openDoor(...args)
  opened.push(one)
  return one
}

/** What a browser gets at the proxy; `fetch` goes to another place only when it is told to. */
async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, {
    redirect: 'manual',
    ...init,
    headers: { accept: BROWSER.accept, ...init.headers },
  })
  const { status, headers } = response
  return { status, headers, seen: seenBy({ text: await response.text() }), cookies: headers.getSetCookie() }
}

const answers = (url: string) =>
  until(`${url} is answered`, () =>
    fetch(url, { redirect: 'manual' }).then(
      () => true,
      () => false,
    ),
  )

test.skipIf(withoutNginx !== '')(`nginx: its users, and a prefix${withoutNginx}`, async () => {
  const users = { header: 'X-Forwarded-User', operators: ['ann@example.com'], viewers: ['*'] }
  const [named, prefixed] = [await door({ users }), await door({ operatorTokens: [ADMIN] })]
  const [userBlock, prefixBlock, ...others] = blocks('nginx')
  expect(others).toEqual([])
  const [userPort, prefixPort] = [await freePort(), await freePort()]
  const passwords = join(cwd, 'htpasswd')
  await writeFile(passwords, 'ann@example.com:{PLAIN}ann\nbob@example.com:{PLAIN}bob\n')
  const server = (port: number, block: string) =>
    `server { listen 127.0.0.1:${port}; ${block.replace(/\S+\.htpasswd/, passwords)} }`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${cwd}/${name};`,
  )
  await writeFile(
    join(cwd, 'nginx.conf'),
    `daemon off; master_process off; pid ${cwd}/nginx.pid; error_log stderr; events {}
     http { access_log off; ${temporary.join(' ')}
     ${server(userPort, here(userBlock, named.port))} ${server(prefixPort, here(prefixBlock, prefixed.port))} }`,
  )
  start(['-p', cwd, '-e', 'stderr', '-c', join(cwd, 'nginx.conf')], { cwd, command: ['nginx'] })

  const at = `http://127.0.0.1:${userPort}/dashboard`
  await answers(at)
  const as = (name: string) => ({
    authorization: `Basic ${Buffer.from(`${name}@example.com:${name}`).toString('base64')}`,
  })
  expect((await ask(`${at}/`)).status).toBe(401)
  expect((await ask(`${at}/`, { headers: { 'x-forwarded-user': 'ann@example.com' } })).status).toBe(401)
  const forged = { ...as('bob'), 'x-forwarded-user': 'ann@example.com' }
  expect((await ask(`${at}/`, { headers: forged })).seen).toMatchObject({
    name: 'bob@example.com',
    role: 'viewer',
  })
  const ann = await ask(`${at}/`, { headers: as('ann') })
  expect(ann.seen).toMatchObject({ name: 'ann@example.com', role: 'operator', base: '/dashboard' })
  const cookie = ann.cookies[0]?.split(';')[0] ?? ''
  const act = async (origin: string) => {
    const body = new URLSearchParams({ what: 'x', csrf: ann.seen.csrf })
    return (await ask(`${at}/act`, { method: 'POST', body, headers: { ...as('ann'), cookie, origin } }))
      .status
  }
  expect(await act('https://evil.example')).toBe(403)
  expect(await act(`http://127.0.0.1:${userPort}`)).toBe(303)
  expect(named.acted).toEqual(['ann@example.com: x'])

  const tools = `http://127.0.0.1:${prefixPort}/tools/dashboard`
  const out = await ask(`${tools}/queues/x`)
  expect(out.headers.get('location')).toBe('/tools/dashboard/login?next=%2Fqueues%2Fx')
  expect((await ask(tools)).headers.get('location')).toBe('/tools/dashboard/')
  const body = new URLSearchParams({ token: ADMIN, next: '/queues/x' })
  const entered = await ask(`${tools}/login`, { method: 'POST', body })
  const [session = ''] = entered.cookies
  expect(session).toMatch(/; Path=\/tools\/dashboard;/)
  const there = await ask(`${tools}/queues/x`, { headers: { cookie: session.split(';')[0] ?? '' } })
  expect(there.seen).toMatchObject({ role: 'operator', base: '/tools/dashboard', found: 'x' })
})

test.skipIf(withoutCaddy !== '')(`Caddy and what stands for oauth2-proxy${withoutCaddy}`, async () => {
  const users = { header: 'X-Auth-Request-Email', operators: ['ann@example.com'], viewers: [] }
  const named = await door({ users })
  const asked: IncomingHttpHeaders[] = []
  // As oauth2-proxy answers with --set-xauthrequest: 202 and who it is, or 401; and once without a name.
  const login = createServer(({ headers, url }, response) => {
    asked.push(headers)
    const [, name] = /session=(\w*)/.exec(headers.cookie ?? '') ?? []
    if (name !== undefined && name !== '') response.setHeader('x-auth-request-email', `${name}@example.com`)
    response.writeHead(url === '/oauth2/auth' ? (name === undefined ? 401 : 202) : 200).end('log in')
  })
  await listenOn(login, 0)
  const address = login.address()
  const loginPort = typeof address === 'object' ? address?.port : 0
  const port = await freePort()
  const [block = '', ...others] = blocks('caddyfile')
  expect(others).toEqual([])
  const site = here(block, named.port)
    .replace('ops.example.com', `http://127.0.0.1:${port}`)
    .replaceAll('127.0.0.1:4180', `127.0.0.1:${loginPort}`)
  await writeFile(join(cwd, 'Caddyfile'), `{\n\tadmin off\n}\n${site}`)
  start(['run', '--adapter', 'caddyfile', '--config', join(cwd, 'Caddyfile')], {
    ...{ cwd, command: ['caddy'], env: { HOME: cwd } },
  })
  const at = `http://127.0.0.1:${port}/dashboard/`
  await answers(at)
  try {
    const unknown = await ask(`${at}queues/x`)
    expect([unknown.status, unknown.headers.get('location')]).toEqual([
      302,
      `/oauth2/sign_in?rd=http://127.0.0.1:${port}/dashboard/queues/x`,
    ])
    expect((await ask(`http://127.0.0.1:${port}/oauth2/sign_in`)).status).toBe(200)
    expect((await ask(at, { headers: { cookie: 'session=ann' } })).seen).toMatchObject({
      ...{ name: 'ann@example.com', role: 'operator' },
    })
    expect((await ask(at, { headers: { cookie: 'session=bob' } })).status).toBe(403)
    // What the browser makes up gets nowhere, not even where the answer names nobody.
    for (const cookie of ['session=bob', 'session='])
      expect((await ask(at, { headers: { cookie, 'x-auth-request-email': 'ann@example.com' } })).status).toBe(
        403,
      )
    expect(asked.at(-1)?.['x-auth-request-email']).toBeUndefined()
  } finally {
    login.closeAllConnections()
    login.close()
  }
})
