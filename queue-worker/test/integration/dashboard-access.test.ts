/** Each way into the dashboard, and what is no way in. */
import { connect } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import {
  ADMIN,
  BROWSER,
  type DoorBench,
  FORM,
  openDoor,
  seenBy,
  trust,
  VIEWER,
} from '../support/dashboard-door.ts'

const opened: DoorBench[] = []
async function door(...args: Parameters<typeof openDoor>) {
  const one = await openDoor(...args)
  opened.push(one)
  return one
}
afterAll(() => Promise.all(opened.map((one) => one.close())))

const tokens = { operatorTokens: [ADMIN], viewerTokens: [VIEWER] }
const users = { header: 'X-Forwarded-User', operators: ['ann@example.com'], viewers: ['bob@example.com'] }
const ann = { 'x-forwarded-user': 'ann@example.com' }

test('closed: nothing is shown, and a page and JSON tell how to open it', async () => {
  const { get, send, post, acted } = await door()
  const page = await get()
  expect(page.status).toBe(403)
  expect(page.text).toMatch(/<h1>The dashboard of this worker is closed\.<\/h1>.*ADMIN_TOKEN/s)
  const program = await send('GET', '/dashboard/queues/x', {
    accept: '*/*',
    authorization: `Bearer ${ADMIN}`,
  })
  expect(program.status).toBe(403)
  expect(JSON.parse(program.text)).toEqual({
    error: 'The dashboard of this worker is closed.',
    remedy: expect.stringContaining('VIEWER_TOKEN'),
  })
  expect((await post('/dashboard/act', { what: 'x', csrf: '' })).status).toBe(403)
  expect((await post('/dashboard/login', { token: ADMIN })).status).toBe(403)
  expect((await get('/dashboard/', ann)).status).toBe(403)
  expect(acted).toEqual([])
})

test('open on loopback: by its own names alone, not through proxies and tunnels, and no other site can act', async () => {
  const { get, post, acted, port } = await door({ isOnThisMachine: true })
  const seen = seenBy(await get())
  expect(seen).toMatchObject({ name: 'local', role: 'operator' })
  for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`, '127.0.0.1'])
    expect((await get('/dashboard/', { host })).status).toBe(200)
  for (const host of [
    `evil.example:${port}`,
    '127.0.0.1.evil.example',
    'localhost.evil.example:80',
    '10.0.0.1',
  ])
    expect([host, (await get('/dashboard/', { host })).status]).toEqual([host, 403])
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'x-forwarded-host'])
    expect((await get('/dashboard/', { [name]: '10.0.0.1' })).status).toBe(403)
  const act = async (csrf: string, headers = {}) =>
    (await post('/dashboard/act', { what: 'x', csrf }, headers)).status
  expect(await act(seen.csrf, { origin: `http://127.0.0.1:${port}` })).toBe(303)
  expect(acted).toEqual(['local: x'])
  expect(await act('')).toBe(403)
  expect(await act(seen.csrf, { origin: 'http://evil.example' })).toBe(403)
  expect(await act(seen.csrf, { origin: 'null' })).toBe(403)
  expect(await act(seen.csrf, { origin: `http://localhost:${port + 1}`, host: `localhost:${port}` })).toBe(
    403,
  )
  expect(await act(seen.csrf, { 'sec-fetch-site': 'cross-site' })).toBe(403)
  expect(await act(seen.csrf, { 'sec-fetch-site': 'same-site' })).toBe(403)
  expect(await act(seen.csrf, { host: 'evil.example', 'sec-fetch-site': 'same-origin' })).toBe(403)
  expect(acted).toHaveLength(1)
})

test('a token set on loopback closes what was open', async () => {
  const { get } = await door({ isOnThisMachine: true, operatorTokens: [ADMIN] })
  expect(await get()).toMatchObject({ status: 303 })
})

test('logging in: the page is remembered, the session is kept in a cookie that scripts and other sites do not reach', async () => {
  const { get, post, lines, port } = await door(tokens)
  const out = await get('/dashboard/queues/reports?state=dead&page=2')
  expect(out.status).toBe(303)
  const to = out.headers.location ?? ''
  expect(to).toBe('/dashboard/login?next=%2Fqueues%2Freports%3Fstate%3Ddead%26page%3D2')
  const page = await get(to)
  expect(page.status).toBe(200)
  expect(page.text).toContain(
    '<input type="hidden" name="next" value="/queues/reports?state=dead&amp;page=2">',
  )
  expect(page.text).toMatch(/<input type="password" name="token"[^>]* autocomplete="current-password"/)
  expect(page.text).not.toContain('<nav')

  const form = { token: ` ${ADMIN}\n`, next: '/queues/reports?state=dead&page=2' }
  const entered = await post('/dashboard/login', form, { origin: `http://127.0.0.1:${port}` })
  expect(entered.status).toBe(303)
  expect(entered.cookies).toHaveLength(1)
  expect(entered.cookies[0]).toMatch(
    /^queue_worker_session=operator-[0-9a-f]{4}\.[\w.-]+; Path=\/dashboard; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  )
  const cookie = entered.cookies[0]?.split(';')[0] ?? ''
  const back = await get(entered.headers.location, { cookie })
  expect([back.status, back.headers.location]).toEqual([303, '/dashboard/queues/reports?state=dead&page=2'])
  const there = await get(back.headers.location, { cookie })
  expect(seenBy(there)).toMatchObject({ role: 'operator', found: 'reports' })
  expect(seenBy(there).name).toMatch(/^operator [0-9a-f]{4}$/)
  expect(there.text).toContain('Log out')

  // A browser that keeps no cookie is told so, instead of being asked again and again.
  const lost = await get(entered.headers.location)
  expect([lost.status, lost.text]).toEqual([400, expect.stringContaining('has not kept the session')])
  expect(lines.join()).toMatch(/operator [0-9a-f]{4} logs in/)
  expect(lines.join() + page.text + there.text + cookie).not.toContain(ADMIN)
})

test('the cookie is Secure wherever there may be a network', async () => {
  const { post } = await door(tokens)
  const login = async (headers: Record<string, string>) =>
    (await post('/dashboard/login', { token: ADMIN }, headers)).cookies[0]
  expect(await login({})).not.toMatch(/Secure/)
  expect(await login({ 'x-forwarded-proto': 'https' })).toMatch(/; Secure$/)
  expect(await login({ host: 'worker.example' })).toMatch(/; Secure$/)
  const far = await door({ ...tokens, trustedProxies: trust('10.0.0.0/8') })
  const believed = await far.post('/dashboard/login', { token: ADMIN }, { 'x-forwarded-proto': 'https' })
  expect(believed.cookies[0]).not.toMatch(/Secure/)
})

test('a viewer looks and cannot act; an operator does both', async () => {
  const { get, post, cookieFor, acted } = await door(tokens)
  const cookie = await cookieFor(VIEWER)
  const seen = await get('/dashboard/', { cookie })
  expect(seenBy(seen).role).toBe('viewer')
  expect(seen.text).toContain('read-only')
  const refused = await post('/dashboard/act', { what: 'x', csrf: seenBy(seen).csrf }, { cookie })
  expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('You may look, but not act.')])
  const admin = await cookieFor(ADMIN)
  const { csrf, name } = seenBy(await get('/dashboard/', { cookie: admin }))
  expect((await post('/dashboard/act', { what: 'x', csrf }, { cookie: admin })).status).toBe(303)
  expect(acted).toEqual([`${name}: x`])
  // The cookies of another path of the same name come along; the one that holds is found.
  const both = `queue_worker_session=stale; other=1; ${admin}`
  expect(seenBy(await get('/dashboard/', { cookie: both })).role).toBe('operator')
})

test('forms that did not come from a page of this session are refused', async () => {
  const { get, post, cookieFor, acted, port } = await door(tokens)
  const [mine, other] = [await cookieFor(ADMIN), await cookieFor(ADMIN)]
  const csrfOf = async (cookie: string) => seenBy(await get('/dashboard/', { cookie })).csrf
  const [csrf, otherCsrf] = [await csrfOf(mine), await csrfOf(other)]
  expect(otherCsrf).not.toBe(csrf)
  const status = async (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    (await post('/dashboard/act', { what: 'x', ...fields }, { cookie: mine, ...headers })).status
  expect(await status({})).toBe(403)
  expect(await status({ csrf: '' })).toBe(403)
  expect(await status({ csrf: otherCsrf })).toBe(403)
  expect(await status({ csrf: `${csrf}x` })).toBe(403)
  expect(await status({ csrf }, { origin: 'https://evil.example' })).toBe(403)
  expect(await status({ csrf }, { origin: 'null' })).toBe(403)
  expect(await status({ csrf }, { 'sec-fetch-site': 'cross-site', origin: `http://127.0.0.1:${port}` })).toBe(
    403,
  )
  expect(acted).toEqual([])
  expect(await status({ csrf }, { 'sec-fetch-site': 'same-origin', origin: 'https://outside.example' })).toBe(
    303,
  )
  expect(await status({ csrf }, { origin: `http://127.0.0.1:${port}` })).toBe(303)
  // Behind a proxy that is trusted, the name that the browser knows counts as well.
  const proxied = { origin: 'https://ops.example', 'x-forwarded-host': 'ops.example' }
  expect(await status({ csrf }, proxied)).toBe(303)
  expect(await status({ csrf }, { ...proxied, origin: 'https://ops.example:444' })).toBe(403)
  // Nor can another site log somebody in or out.
  const foreign = { origin: 'https://evil.example' }
  expect(await post('/dashboard/login', { token: ADMIN }, foreign)).toMatchObject({
    status: 403,
    cookies: [],
  })
  expect(await post('/dashboard/logout', { csrf: '' }, { cookie: mine })).toMatchObject({
    status: 403,
    cookies: [],
  })
})

test('logging out ends the session in the browser', async () => {
  const { get, post, cookieFor } = await door(tokens)
  const cookie = await cookieFor(ADMIN)
  const { csrf } = seenBy(await get('/dashboard/', { cookie }))
  const left = await post('/dashboard/logout', { csrf }, { cookie })
  expect([left.status, left.headers.location]).toEqual([303, '/dashboard/login'])
  expect(left.cookies[0]).toMatch(
    /^queue_worker_session=; Path=\/dashboard; Max-Age=0; HttpOnly; SameSite=Strict$/,
  )
  expect((await post('/dashboard/logout', {})).headers.location).toBe('/dashboard/login')
})

test('a session ends after 12 hours; outlives a restart; dies with its token; and a viewer cannot make one of an operator', async () => {
  const first = await door({ ...tokens, operatorTokens: ['old-token-0123456789abcdefghijklmnop', ADMIN] })
  const cookie = await first.cookieFor(ADMIN)
  const isIn = async ({ get }: DoorBench, value = cookie) =>
    (await get('/dashboard/', { cookie: value })).status === 200
  expect(await isIn(first)).toBe(true)
  expect(await isIn(await door(tokens))).toBe(true)
  expect(await isIn(await door({ operatorTokens: [VIEWER] }))).toBe(false)
  // The same token in the other setting has other rights, and needs another session.
  expect(await isIn(await door({ viewerTokens: [ADMIN] }))).toBe(false)
  const viewer = await first.cookieFor(VIEWER)
  expect(await isIn(first, viewer.replace('viewer-', 'operator-'))).toBe(false)
  expect(
    await isIn(
      first,
      cookie.replace(/\.(\d+)\./, (_, at) => `.${Number(at) + 3600}.`),
    ),
  ).toBe(false)
  expect(await isIn(first, cookie.slice(0, -3))).toBe(false)
  first.clock.nowMs += 12 * 3600_000 - 1000
  expect(await isIn(first)).toBe(true)
  first.clock.nowMs += 1000
  expect(await isIn(first)).toBe(false)
})

test('a form that is sent after the session has ended leads back to its page', async () => {
  const { post } = await door(tokens)
  const late = (referer: string) =>
    post('/dashboard/act', { what: 'x', csrf: 'x' }, { referer }).then(({ headers }) => headers.location)
  expect(await late('http://127.0.0.1/dashboard/queues/reports?state=dead')).toBe(
    '/dashboard/login?next=%2Fqueues%2Freports%3Fstate%3Ddead',
  )
  expect(await late('http://127.0.0.1/elsewhere')).toBe('/dashboard/login?next=%2F')
})

test('wrong tokens: told what may be wrong, 30 times a minute over all that asks for tokens; the right one passes', async () => {
  const { post, send, cookieFor, clock, lines } = await door(tokens)
  const wrong = () => post('/dashboard/login', { token: 'not-the-right-one', next: '/queues/x' })
  const first = await wrong()
  expect(first.status).toBe(401)
  expect(first.text).toMatch(/role="alert".*not the right one\. Take the whole value.*value="\/queues\/x"/s)
  expect(first.text).not.toContain('not-the-right-one')
  expect((await post('/dashboard/login', { token: '  ' })).status).toBe(400)
  const bearer = { authorization: 'Bearer not-the-right-one' }
  const ways = [wrong, () => send('GET', '/dashboard/', bearer), () => send('GET', '/wake', bearer)]
  for (let tried = 1; tried < 30; tried++) expect((await ways[tried % 3]?.())?.status).toBe(401)
  const late = await wrong()
  expect([late.status, late.headers['retry-after'], late.text]).toEqual([
    429,
    '60',
    expect.stringContaining('Wait 60 seconds'),
  ])
  expect((await send('GET', '/dashboard/', bearer)).status).toBe(429)
  expect(await cookieFor(ADMIN)).toMatch(/^queue_worker_session=operator/)
  expect((await send('GET', '/dashboard/', { authorization: `Bearer ${VIEWER}` })).status).toBe(200)
  expect(lines.filter((line) => line.includes('wrong tokens'))).toHaveLength(1)
  clock.nowMs += 60_000
  expect((await wrong()).status).toBe(401)
})

test('programs show a token with each request, and need nothing of a page; it counts before a cookie', async () => {
  const { get, send, cookieFor, acted } = await door(tokens)
  const form = { 'content-type': FORM['content-type'] }
  const act = async (headers: Record<string, string>) =>
    (await send('POST', '/dashboard/act', { ...form, ...headers }, 'what=x')).status
  expect(await act({ authorization: `Bearer ${ADMIN}` })).toBe(303)
  expect(await act({ authorization: `Bearer ${VIEWER}` })).toBe(403)
  expect(acted).toHaveLength(1)
  const cookie = await cookieFor(ADMIN)
  expect(await act({ authorization: 'Basic YTpi', cookie })).toBe(403)
  expect(await act({ authorization: `Bearer ${VIEWER}`, cookie })).toBe(403)
  // A proxy that adds the token to what a browser asks for does not open the door to other sites.
  expect(await act({ authorization: `Bearer ${ADMIN}`, origin: 'https://evil.example' })).toBe(403)
  expect(acted).toHaveLength(1)
  // A proxy may show a token of its own: people log in all the same, and then are known by their session.
  const own = { authorization: 'Bearer eyJ.of-the.proxy' }
  expect((await get('/dashboard/', own)).headers.location).toBe('/dashboard/login?next=%2F')
  expect(seenBy(await get('/dashboard/', { ...own, cookie })).role).toBe('operator')
  expect(await act({ ...own, cookie })).toBe(403)
  const none = await send('GET', '/dashboard/', { accept: 'application/json' })
  expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Bearer realm="queue-worker"'])
  expect(JSON.parse(none.text).error).toMatch(/a token is needed/)
})

test('a page that keeps itself up to date is led to the login by its script', async () => {
  const { send } = await door(tokens)
  const told = await send('GET', '/dashboard/queues/x', { accept: '*/*', 'hx-request': 'true' })
  expect([told.status, told.headers['hx-redirect']]).toEqual([401, '/dashboard/login?next=%2Fqueues%2Fx'])
})

test('before login every path looks the same, whether it is there or not', async () => {
  const { get, post } = await door(tokens)
  for (const path of [
    '/',
    '/queues/x',
    '/nothing/here',
    '/assets/secret.js',
    '/%00',
    '/%zz',
    '/act',
    '/logout',
  ]) {
    const { status, text, headers } = await get(`/dashboard${path}`)
    expect([path, status, text]).toEqual([path, 303, ''])
    expect(headers.location).toMatch(/^\/dashboard\/login\?next=/)
    expect((await post(`/dashboard${path === '/logout' ? '/x' : path}`, {})).status).toBe(303)
  }
})

test('after login one goes to a path of ours, whatever the form says', async () => {
  const { post, get } = await door(tokens)
  for (const next of [
    '//evil.example',
    '/\\evil.example',
    'https://evil.example/',
    '/../../x',
    '/%2e%2e/x',
    '/a\r\nset-cookie: x=y',
    'javascript:alert(1)',
    '/login?next=/login',
    `/${'x'.repeat(3000)}`,
    '',
  ]) {
    const { status, headers } = await post('/dashboard/login', { token: ADMIN, next })
    expect([next, status, headers.location]).toEqual([next, 303, '/dashboard/login?next=%2F&entered=1'])
    const shown = await get(`/dashboard/login?${new URLSearchParams({ next })}`)
    expect(shown.text).toContain('name="next" value="/">')
  }
})

test('from another site the browser brings no cookie: a page of ours asks once more', async () => {
  const { get } = await door(tokens)
  const { status, headers, text } = await get('/dashboard/queues/x', { 'sec-fetch-site': 'cross-site' })
  expect([status, headers.refresh]).toEqual([200, '0; url=/dashboard/login?next=%2Fqueues%2Fx'])
  expect(text).toContain('href="/dashboard/login?next=%2Fqueues%2Fx"')
})

test('a reverse proxy names the user: lists decide, and only a trusted address is believed', async () => {
  const { get, post, acted, cookieFor } = await door({ users })
  const named = await get('/dashboard/', ann)
  expect(seenBy(named)).toMatchObject({ name: 'ann@example.com', role: 'operator' })
  expect(named.text).not.toContain('Log out')
  expect(seenBy(await get('/dashboard/', { 'x-forwarded-user': 'bob@example.com' })).role).toBe('viewer')
  const eve = await get('/dashboard/', { 'x-forwarded-user': 'eve@example.com' })
  expect([eve.status, eve.text]).toEqual([
    403,
    expect.stringContaining('eve@example.com may not see this dashboard.'),
  ])
  expect((await get('/dashboard/', { 'x-forwarded-user': 'ANN@example.com' })).status).toBe(403)
  expect(
    (await get('/dashboard/', { 'x-forwarded-user': ['eve@example.com', 'ann@example.com'] })).status,
  ).toBe(403)
  expect((await get('/dashboard/', { 'x-forwarded-user': 'eve, ann@example.com' })).status).toBe(403)
  for (const headers of [{}, { 'x-forwarded-user': '' }, { authorization: `Bearer ${ADMIN}` }])
    expect((await get('/dashboard/', headers)).status).toBe(403)
  expect(await cookieFor(ADMIN)).toBe('')

  const [cookie = ''] = named.cookies[0]?.split(';') ?? []
  expect(named.cookies[0]).toMatch(
    /^queue_worker_form=[\w-]{32}; Path=\/dashboard; HttpOnly; SameSite=Strict$/,
  )
  const { csrf } = seenBy(named)
  const act = async (token: string, headers: Record<string, string>) =>
    (await post('/dashboard/act', { what: 'x', csrf: token }, headers)).status
  expect(await act(csrf, { ...ann, cookie })).toBe(303)
  expect(acted).toEqual(['ann@example.com: x'])
  expect((await get('/dashboard/', { ...ann, cookie })).cookies).toEqual([])
  expect(await act(csrf, ann)).toBe(403)
  expect(await act('', { ...ann, cookie })).toBe(403)
  expect(await act(csrf, { ...ann, cookie, origin: 'https://evil.example' })).toBe(403)
  // The cookie of one does not make the form of another.
  expect(await act(seenBy(await get('/dashboard/', { ...ann })).csrf, { ...ann, cookie })).toBe(403)
  expect(acted).toHaveLength(1)
})

test('the header from elsewhere is refused, also with a token, and the log tells from where', async () => {
  const { get, send, cookieFor, lines } = await door({
    ...tokens,
    users,
    trustedProxies: trust('10.0.0.0/8'),
  })
  for (const headers of [{}, { cookie: await cookieFor(ADMIN) }, { authorization: `Bearer ${ADMIN}` }])
    expect((await get('/dashboard/', { ...ann, ...headers })).status).toBe(403)
  expect((await send('POST', '/dashboard/login', { ...FORM, ...ann }, `token=${ADMIN}`)).cookies).toEqual([])
  expect(lines.filter((line) => line.includes('X-Forwarded-User came from 127.0.0.1'))).toHaveLength(1)
  expect((await get('/dashboard/', { authorization: `Bearer ${ADMIN}` })).status).toBe(200)
})

test('everybody whom the proxy lets in may look with *, and names are read as UTF-8', async () => {
  const { get } = await door({ users: { ...users, viewers: ['*'] } })
  const name = Buffer.from('zoë@example.com').toString('latin1')
  expect(seenBy(await get('/dashboard/', { 'x-forwarded-user': name }))).toMatchObject({
    ...{ name: 'zoë@example.com', role: 'viewer' },
  })
  expect(seenBy(await get('/dashboard/', ann)).role).toBe('operator')
})

test('header and tokens together: who is named is in, others may log in, and a token counts for more', async () => {
  const { get, cookieFor } = await door({ ...tokens, users })
  const bob = { 'x-forwarded-user': 'bob@example.com' }
  expect(seenBy(await get('/dashboard/', bob))).toMatchObject({ role: 'viewer' })
  expect((await get('/dashboard/')).status).toBe(303)
  const eve = await get('/dashboard/', { 'x-forwarded-user': 'eve@example.com' })
  expect([eve.status, eve.text]).toEqual([403, expect.stringContaining('href="/dashboard/login"')])
  expect((await get('/dashboard/login', bob)).text).toContain('name="token"')
  const cookie = await cookieFor(ADMIN, bob)
  expect(seenBy(await get('/dashboard/', { ...bob, cookie })).name).toMatch(/^operator [0-9a-f]{4}$/)
  // A proxy hands on a token of its own in the header for ours.
  expect(
    seenBy(await get('/dashboard/', { ...bob, authorization: 'Bearer eyJ.of-the.proxy' })),
  ).toMatchObject({
    ...{ name: 'bob@example.com', role: 'viewer' },
  })
})

test('below a prefix: told by a trusted proxy alone, and only as a plain path', async () => {
  const { get, post } = await door({ ...tokens, path: '/ops/queues' })
  const at = (prefix: string | undefined, path = '/ops/queues/x') =>
    get(path, prefix === undefined ? {} : { 'x-forwarded-prefix': prefix }).then(
      ({ headers }) => headers.location,
    )
  expect(await at(undefined)).toBe('/ops/queues/login?next=%2Fx')
  expect(await at('/tools/')).toBe('/tools/ops/queues/login?next=%2Fx')
  expect(await at('/tools', '/ops/queues')).toBe('/tools/ops/queues/')
  for (const prefix of [
    '//evil.example',
    'https://evil.example',
    '/a/../b',
    '/a b',
    '/"><script>',
    '/',
    '/a,/b',
    '/%2e',
  ])
    expect([prefix, await at(prefix)]).toEqual([
      prefix,
      `${prefix === '/a,/b' ? '/a' : ''}/ops/queues/login?next=%2Fx`,
    ])
  const headers = { 'x-forwarded-prefix': '/tools' }
  const entered = await post('/ops/queues/login', { token: ADMIN, next: '/x' }, headers)
  expect(entered.headers.location).toBe('/tools/ops/queues/login?next=%2Fx&entered=1')
  expect(entered.cookies[0]).toMatch(/; Path=\/tools\/ops\/queues;/)
  const page = await get('/ops/queues/login', headers)
  expect(page.text).toContain('action="/tools/ops/queues/login"')
  expect((await get('/dashboard/')).status).toBe(404)
  const far = await door({ ...tokens, trustedProxies: [] })
  expect((await far.get('/dashboard/x', headers)).headers.location).toBe('/dashboard/login?next=%2Fx')
})

test('every kind of answer has the headers that keep it safe', async () => {
  const { get, post, send, cookieFor } = await door({ ...tokens, users })
  const cookie = await cookieFor(ADMIN)
  const bearer = { authorization: `Bearer ${ADMIN}` }
  const answers = {
    page: await get('/dashboard/', { cookie }),
    file: await get('/dashboard/file', { cookie }),
    missing: await get('/dashboard/none', { cookie }),
    broken: await get('/dashboard/queues/%zz', { cookie }),
    home: await get('/dashboard'),
    login: await get('/dashboard/login'),
    wrong: await post('/dashboard/login', { token: 'x' }),
    redirect: await get('/dashboard/x'),
    moment: await get('/dashboard/x', { 'sec-fetch-site': 'cross-site' }),
    forged: await post('/dashboard/act', {}, { cookie }),
    stranger: await get('/dashboard/', { 'x-forwarded-user': 'eve' }),
    json: await send('GET', '/dashboard/x', {}),
    badBearer: await send('GET', '/dashboard/x', { authorization: 'Bearer x' }),
    head: await send('HEAD', '/dashboard/', { ...BROWSER, ...bearer }),
    options: await send('OPTIONS', '/dashboard/', { origin: 'https://evil.example' }),
    put: await send('PUT', '/dashboard/', { cookie }),
    style: await get('/dashboard/assets/dashboard.css'),
    script: await get('/dashboard/assets/htmx.js'),
    closed: await (await door()).get(),
  }
  const statuses = Object.fromEntries(Object.entries(answers).map(([name, { status }]) => [name, status]))
  expect(statuses).toEqual({
    ...{ page: 200, file: 200, missing: 404, broken: 404, home: 303, login: 200, wrong: 401, redirect: 303 },
    ...{
      moment: 200,
      forged: 403,
      stranger: 403,
      json: 401,
      badBearer: 401,
      head: 200,
      options: 200,
      put: 405,
    },
    ...{ style: 200, script: 200, closed: 403 },
  })
  for (const [name, { headers }] of Object.entries(answers)) {
    const policy = headers['content-security-policy']
    expect([name, policy]).toEqual([name, expect.stringMatching(/default-src 'none'.*frame-ancestors/)])
    expect([name, /unsafe|\*|http/.test(String(policy))]).toEqual([name, false])
    expect([name, headers['x-content-type-options']]).toEqual([name, 'nosniff'])
    expect([name, headers['referrer-policy']]).toEqual([name, 'same-origin'])
    const isAsset = name === 'style' || name === 'script'
    expect([name, headers['cache-control']]).toEqual([name, isAsset ? 'no-cache' : 'no-store'])
    expect([name, headers['access-control-allow-origin']]).toEqual([name, undefined])
  }
  expect(answers.head.text).toBe('')
  expect([answers.options.headers.allow, answers.put.headers.allow]).toEqual(
    Array(2).fill('GET, HEAD, POST, OPTIONS'),
  )
})

test('hostile input is refused, and others are served all the same', async () => {
  const { get, post, send, cookieFor, acted, port } = await door(tokens)
  const cookie = await cookieFor(ADMIN)
  const { csrf } = seenBy(await get('/dashboard/', { cookie }))
  const nonsense = [
    'queue_worker_session=',
    `queue_worker_session=${'x'.repeat(7000)}`,
    `queue_worker_session=operator-0000.99999999999.${'a'.repeat(16)}.${'a'.repeat(43)}`,
    `queue_worker_session=${encodeURIComponent(cookie)}`,
    ';;;=;queue_worker_session',
    Array(100).fill('queue_worker_session=operator-0000.1.a.b').join('; '),
  ]
  for (const one of nonsense) expect((await get('/dashboard/', { cookie: one })).status).toBe(303)
  expect((await get('/dashboard/', { cookie: 'x'.repeat(9000) })).status).toBe(431)
  expect((await get('/dashboard/queues/%00%ff', { cookie })).status).toBe(404)
  expect((await get('/dashboard/queues/%00', { cookie })).status).toBe(200)
  expect((await get('/dashboard/login?next=%', {})).status).toBe(200)
  const big = 'x'.repeat(2 * 1024 * 1024)
  expect((await post('/dashboard/act', { csrf, what: big }, { cookie })).status).toBe(413)
  expect((await post('/dashboard/login', { token: big })).status).toBe(413)
  expect((await post('/dashboard/act', { what: big })).status).toBe(303)
  expect(
    (await send('POST', '/dashboard/login', { ...BROWSER, 'content-type': 'text/plain' }, `token=${ADMIN}`))
      .status,
  ).toBe(413)
  expect((await post('/dashboard/login', { token: `${ADMIN}\0` })).status).toBe(401)
  const raw = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET /dashboard/ HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: queue_worker_session=\0\r\n\r\n'),
    )
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text)).on('error', reject)
  })
  expect(raw).toMatch(/^HTTP\/1.1 400 /)
  expect(acted).toEqual([])
  expect((await post('/dashboard/act', { csrf, what: 'x' }, { cookie })).status).toBe(303)
})
