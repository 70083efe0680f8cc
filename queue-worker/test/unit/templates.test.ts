import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { UnrecoverableError } from '../../src/errors.ts'
import { createTemplates } from '../../src/services/templates.ts'

let base: string
let folder: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'queue-worker-templates-'))
  folder = join(base, 'templates')
  await mkdir(folder)
})
afterEach(() => rm(base, { recursive: true, force: true }))

const write = async (files: Record<string, string>) => {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}
const problemOf = async (name: string, variables: Record<string, unknown> = {}) => {
  const thrown = await createTemplates(folder)
    .render(name, variables)
    .catch((error: unknown) => error)
  expect(thrown).toBeInstanceOf(UnrecoverableError)
  return String(thrown)
}

/** For what may work later. */
const passingProblemOf = async (name: string, templates = createTemplates(folder)) => {
  const thrown = await templates.render(name, {}).catch((error: unknown) => error)
  expect(thrown).toBeInstanceOf(Error)
  expect(thrown).not.toBeInstanceOf(UnrecoverableError)
  return String(thrown)
}

test('HTML is escaped, text and subject are not, and a subject is one line', async () => {
  await write({
    'a.subject.liquid': 'For {{ name }}\n  today\n',
    'a.text.liquid': '{{ name }}',
    'a.html.liquid': '{{ name }}|{{ name | raw }}|{{ list | join: "," }}',
  })
  const rendered = await createTemplates(folder).render('a', { name: '<b>&', list: ['<', 'x'] })
  expect(rendered).toEqual({ subject: 'For <b>& today', text: '<b>&', html: '&lt;b&gt;&amp;|<b>&|&lt;,x' })
})

test('only the parts that have a file are given', async () => {
  await write({ 'a.text.liquid': 'x' })
  expect(await createTemplates(folder).render('a', {})).toEqual({ text: 'x' })
})

test('a missing variable is final, and the template, its line and the variable are named', async () => {
  await write({ 'a.text.liquid': 'one\n{{ user.name }}' })
  expect(await problemOf('a', { user: {} })).toMatch(
    /a\.text\.liquid needs the variable "user\.name" \(a\.text\.liquid, line 2\)/,
  )
  expect(await problemOf('a')).toMatch(/needs the variable "user/)
})

test('a variable may be missing where the template says so', async () => {
  await write({ 'a.text.liquid': '{% if x %}x{% else %}-{% endif %}{{ y | default: "why" }}' })
  expect(await createTemplates(folder).render('a', {})).toEqual({ text: '-why' })
})

test('variables give no way to what objects inherit', async () => {
  await write({ 'a.text.liquid': '{{ x.toString }}' })
  expect(await problemOf('a', { x: {} })).toMatch(/needs the variable/)
})

test('a mistake in a template is final and named', async () => {
  await write({ 'a.text.liquid': 'x\n{% if %', 'b.text.liquid': '{{ x | nofilter }}' })
  expect(await problemOf('a')).toMatch(/a\.text\.liquid cannot be used \(a\.text\.liquid, line 2\)/)
  expect(await problemOf('b', { x: 1 })).toMatch(/b\.text\.liquid cannot be used.*nofilter/)
})

test('an unknown template is final and the known ones are listed', async () => {
  await write({ 'b.text.liquid': 'x', 'a.html.liquid': 'x', '_part.html.liquid': 'x', 'notes.md': 'x' })
  expect(await problemOf('c')).toMatch(/no e-mail template "c"; known are: a, b\.$/)
  expect(await createTemplates(folder).list()).toEqual(['a', 'b'])
})

test.each(['../secret', 'a/../../secret', '/etc/passwd', '', '.', 'a.text', 'A\0b', '..%2fsecret', '_part'])(
  'the name %j leads nowhere',
  async (name) => {
    await writeFile(join(base, 'secret.text.liquid'), 'SECRET')
    await write({ '_part.text.liquid': 'x' })
    expect(await problemOf(name)).toMatch(/Not the name of an e-mail template/)
  },
)

test('parts are included from within the folder, and only from there', async () => {
  await writeFile(join(base, 'secret.liquid'), 'SECRET')
  await symlink(join(base, 'secret.liquid'), join(folder, 'link.liquid'))
  await write({
    '_layout.html.liquid': '<main>{% block content %}{% endblock %}</main>',
    '_part.html.liquid': '<i>{{ who }}</i>',
    'good.html.liquid':
      '{% layout "_layout.html.liquid" %}{% block content %}{% render "_part.html.liquid", who: name %}{% endblock %}',
    'up.html.liquid': '{% render "../secret.liquid" %}',
    'absolute.html.liquid': `{% include "${join(base, 'secret.liquid')}" %}`,
    'byvariable.html.liquid': '{% include path %}',
    'linked.html.liquid': '{% render "link.liquid" %}',
  })
  const rendered = await createTemplates(folder).render('good', { name: '<x>' })
  expect(rendered.html).toBe('<main><i>&lt;x&gt;</i></main>')
  for (const name of ['up', 'absolute', 'byvariable', 'linked']) {
    const problem = await problemOf(name, { path: '../secret.liquid' })
    expect(problem).toMatch(/cannot be used/)
    expect(problem).not.toContain('SECRET')
  }
})

test('templates are kept in memory once used', async () => {
  await write({ 'a.text.liquid': 'one' })
  const templates = createTemplates(folder)
  await templates.render('a', {})
  await write({ 'a.text.liquid': 'two' })
  expect(await templates.render('a', {})).toEqual({ text: 'one' })
})

test('a template that takes too long is stopped, and may do better on a machine that is less busy', async () => {
  await write({
    'a.text.liquid': '{% for i in (1..100000) %}{% for j in (1..100000) %}x{% endfor %}{% endfor %}',
  })
  expect(await passingProblemOf('a')).toMatch(/cannot be used.*limit/)
})

test('a folder that cannot be read is not the message’s fault', async () => {
  await rm(folder, { recursive: true })
  expect(await passingProblemOf('a')).toMatch(/folder of the e-mail templates cannot be read: ENOENT/)
  await expect(createTemplates(folder).list()).rejects.toThrow(/cannot be read/)
})

test('a file that cannot be read is not either, and works as soon as it can', async () => {
  const templates = createTemplates(folder)
  // Neither can be read: a folder, and a link that leads nowhere.
  await mkdir(join(folder, 'a.text.liquid'))
  await symlink(join(folder, 'nowhere'), join(folder, 'b.text.liquid'))
  await write({ 'c.text.liquid': '{% render "a.text.liquid" %}' })
  expect(await passingProblemOf('a', templates)).toMatch(/a\.text\.liquid cannot be used.*EISDIR/)
  expect(await passingProblemOf('b', templates)).toMatch(/b\.text\.liquid cannot be used/)
  expect(await passingProblemOf('c', templates)).toMatch(/c\.text\.liquid cannot be used.*EISDIR/)
  await rm(join(folder, 'a.text.liquid'), { recursive: true })
  await write({ 'a.text.liquid': 'x' })
  expect(await templates.render('a', {})).toEqual({ text: 'x' })
  expect(await templates.render('c', {})).toEqual({ text: 'x' })
})
