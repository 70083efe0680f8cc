import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { endAll, folder, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { createDatabase } from '../support/databases.ts'

const stack = inject('stack')
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

test('a fresh database is made ready, and a second time it is up to date', async () => {
  const database = await createDatabase(stack)
  try {
    const env = { DATABASE_URL: database.url }
    const first = await run(['migrate'], { cwd, env })
    expect(first.code, first.text).toBe(0)
    expect(first.out).toMatch(/^applied \d{14}_queue_worker_\w+\.sql\n/)
    expect(first.out).toMatch(/\nThe database is ready for queue-worker\.\n$/)
    const [row] =
      await database.sql`select to_regprocedure('public.queue_worker_read(jsonb)') is not null as there`
    expect(row?.there).toBe(true)

    const second = await run(['migrate'], { cwd, env })
    expect([second.code, second.out]).toEqual([0, 'The database is up to date.\n'])
    // On a busy machine it may say what it waits for.
    expect(second.err).toMatch(/^(Waiting for .* …\n)?$/)
  } finally {
    await database.dispose()
  }
})

test('what it waits for is told, once', async () => {
  const database = await createDatabase(stack)
  try {
    const holder = await database.sql.reserve()
    await holder`select pg_advisory_lock(hashtext('queue_worker.migrate'))`
    const cli = start(['migrate'], { cwd, env: { DATABASE_URL: database.url } })
    await cli.says(/^Waiting for another migration to end/m)
    await holder`select pg_advisory_unlock(hashtext('queue_worker.migrate'))`
    holder.release()
    expect(await cli.ended, cli.text()).toBe(0)
    expect(cli.err()).toMatch(/^Waiting for .* …\n$/)
  } finally {
    await database.dispose()
  }
})

test('tables of yours that have names of ours are named, each time, until they are out of the way', async () => {
  const database = await createDatabase(stack)
  try {
    const env = { DATABASE_URL: database.url }
    await database.sql`create table public.reports (id int)`
    const warning =
      /^warning: public\.reports is a table of yours.*left as it is, but reports cannot .* What to do.*: (alter table .*?;)/m
    const first = await run(['migrate'], { cwd, env })
    expect([first.code, first.err]).toEqual([0, expect.stringMatching(warning)])
    const second = await run(['migrate'], { cwd, env })
    expect([second.code, second.out]).toEqual([0, 'The database is up to date.\n'])
    const [, remedy = ''] = warning.exec(second.err) ?? []
    await database.sql.unsafe(remedy)
    const third = await run(['migrate'], { cwd, env })
    expect([third.code, third.out]).toEqual([0, expect.stringMatching(/report_tables\.sql\n/)])
    expect(third.err).not.toContain('warning')
    expect((await database.sql`select * from public.reports`).columns.map(({ name }) => name)).toContain(
      'origin_key',
    )
  } finally {
    await database.dispose()
  }
})

test('a database of a newer version is left alone, and it says so', async () => {
  const database = await createDatabase(stack)
  try {
    const env = { DATABASE_URL: database.url }
    expect((await run(['migrate'], { cwd, env })).code).toBe(0)
    await database.sql`insert into queue_worker.migrations (name, checksum) values ('99991231235959_queue_worker_future.sql', 'x')`
    const { code, out, err } = await run(['migrate'], { cwd, env })
    expect([code, out]).toEqual([3, ''])
    expect(err).toMatch(/^error: the database was migrated by a newer queue-worker: it has 9999\d+_queue/m)
    expect(err).toMatch(/\n\nWhat to do: Run the newer version; it works with older workers too\.\n$/)
  } finally {
    await database.dispose()
  }
})

describe('it says what it needs', () => {
  test('without DATABASE_URL', async () => {
    const { code, err } = await run(['migrate'], {
      cwd,
      env: { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey },
    })
    expect(code).toBe(3)
    expect(err).toMatch(/migrate needs a direct connection, and DATABASE_URL is not set/)
    expect(err).toMatch(
      /What to do: Set DATABASE_URL .*migrate --copy supabase\/migrations.*supabase db push/,
    )
  })

  test('a wrong password', async () => {
    const url = new URL(stack.databaseUrl)
    url.password = 'not-the-password'
    const { code, err } = await run(['migrate'], { cwd, env: { DATABASE_URL: url.href } })
    expect(code).toBe(3)
    expect(err).toMatch(/the login was refused.*\n\nWhat to do: Check user and password in DATABASE_URL/)
    expect(err).not.toContain('not-the-password')
  })

  test('a database that does not exist', async () => {
    const url = new URL(stack.databaseUrl)
    url.pathname = '/no_such_database'
    const { code, err } = await run(['migrate'], { cwd, env: { DATABASE_URL: url.href } })
    expect(code).toBe(3)
    expect(err).toMatch(/no_such_database.*\n\nWhat to do: Check the database name/)
  })
})

describe('--copy writes the files into a project of its own', () => {
  test.each([
    [[], 'supabase/migrations'],
    [['db/changes'], 'db/changes'],
  ])('%j', async (args, directory) => {
    const { code, out, err } = await run(['migrate', '--copy', ...args], { cwd })
    expect([code, err]).toEqual([0, ''])
    const names = (await readdir(join(cwd, directory))).sort()
    expect(names).toEqual((await readdir(join(projectRoot, 'supabase/migrations'))).sort())
    for (const name of names) {
      expect(out).toContain(`wrote ${directory}/${name}\n`)
      const original = await readFile(join(projectRoot, 'supabase/migrations', name), 'utf8')
      expect(await readFile(join(cwd, directory, name), 'utf8')).toBe(original)
    }
    expect(out).toMatch(/npx supabase db push/)
  })

  test('and says when it cannot', async () => {
    await writeFile(join(cwd, 'a-file'), '')
    const { code, err } = await run(['migrate', '--copy', 'a-file'], { cwd })
    expect(code).toBe(3)
    expect(err).toMatch(/the migrations cannot be written to .*a-file.*\n\nWhat to do: Name a folder/)
  })
})
