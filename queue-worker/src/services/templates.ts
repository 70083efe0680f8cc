/** Turns `<name>.subject.liquid`, `<name>.text.liquid` and `<name>.html.liquid` of one folder into mail texts. */
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Liquid } from 'liquidjs'
import { coerceError, UnrecoverableError } from '../errors.ts'

/** The parts of which the template has a file. */
export type Rendered = { subject?: string; text?: string; html?: string }

export type Templates = {
  /**
   * Throws UnrecoverableError for a name that is none, an unknown template (naming the known ones), a mistake in
   * it, or a variable it uses and was not given (naming both). Throws Error, as it may work later, for files that
   * cannot be read and for a template that takes too long.
   */
  render(name: string, variables: Readonly<Record<string, unknown>>): Promise<Rendered>
  /** Names of the templates there are, sorted. Throws Error when the folder cannot be read. */
  list(): Promise<string[]>
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const PARTS = ['subject', 'text', 'html'] as const
/** What liquidjs says at its `renderLimit`: a busy machine may be the cause as well as an endless template. */
const TOO_SLOW = 'template render limit exceeded'

/** `folder` is read when a template is used; its files are then kept in memory until the program ends. */
export function createTemplates(folder: string): Templates {
  const root = resolve(folder)
  const plain = engine(root, {})
  const html = engine(root, { outputEscape: 'escape' })

  async function files(): Promise<ReadonlySet<string>> {
    try {
      return new Set(await readdir(root))
    } catch (thrown) {
      const why = coerceError(thrown).message
      throw new Error(`The folder of the e-mail templates cannot be read: ${why}`, { cause: thrown })
    }
  }

  async function list(): Promise<string[]> {
    const names = [...(await files())].flatMap((file) => {
      const match = /^(.+)\.(?:subject|text|html)\.liquid$/.exec(file)
      return match?.[1] !== undefined && NAME.test(match[1]) ? [match[1]] : []
    })
    return [...new Set(names)].sort()
  }

  return {
    list,
    async render(name, variables) {
      const present = NAME.test(name) ? await files() : new Set<string>()
      const parts = PARTS.filter((part) => present.has(`${name}.${part}.liquid`))
      if (parts.length === 0) throw unknownTemplate(name, await list())
      const rendered: Rendered = {}
      for (const part of parts) {
        const file = `${name}.${part}.liquid`
        const text = await renderFile(part === 'html' ? html : plain, file, variables)
        // A file ends with a line break; a subject must not hold any.
        rendered[part] = part === 'subject' ? text.replace(/\s+/g, ' ').trim() : text
      }
      return rendered
    },
  }
}

function engine(root: string, options: { outputEscape?: 'escape' }): Liquid {
  return new Liquid({
    root,
    // Includes and layouts come from the same folder; liquidjs refuses what resolves outside of it.
    partials: root,
    layouts: root,
    extname: '.liquid',
    cache: true,
    strictVariables: true,
    strictFilters: true,
    // `{% if x %}` and `{{ x | default: "y" }}` are how a template says that a variable may be missing.
    lenientIf: true,
    ownPropertyOnly: true,
    // Milliseconds. Rendering blocks the event loop: a template that loops for ever must not stop the worker.
    renderLimit: 1000,
    ...options,
  })
}

async function renderFile(
  liquid: Liquid,
  file: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<string> {
  try {
    const text: unknown = await liquid.renderFile(file, { ...variables })
    return String(text)
  } catch (thrown) {
    const error = coerceError(thrown)
    // The first line holds what and where; the rest quotes the template.
    const [what = ''] = error.message.split('\n')
    const missing = /undefined variable: ([^,\s]+)/.exec(what)?.[1]
    const place = /, file:[^,]*?([^/\\,]+\.liquid)/.exec(what)?.[1] ?? file
    const line = /, line:(\d+)/.exec(what)?.[1]
    const where = `${place}${line === undefined ? '' : `, line ${line}`}`
    const message =
      missing === undefined
        ? `The e-mail template ${file} cannot be used (${where}): ${what.replace(/, file:.*$/, '')}`
        : `The e-mail template ${file} needs the variable "${missing}" (${where}), which the message does not give.`
    const said = message.replaceAll(`${liquid.options.root[0]}`, 'the template folder')
    const isOurFault = isOfTheSystem(error) || what.includes(TOO_SLOW) || !(await isThere(liquid, file))
    throw isOurFault ? new Error(said, { cause: thrown }) : new UnrecoverableError(said, { cause: thrown })
  }
}

/** True for what the operating system said; liquidjs has an ENOENT of its own for an unknown file, without `errno`. */
function isOfTheSystem(error: unknown): boolean {
  for (let next = error; next instanceof Error; next = Reflect.get(next, 'originalError')) {
    if (typeof Reflect.get(next, 'errno') === 'number') return true
  }
  return false
}

/** The folder listed the file; when it cannot be looked at now, that says nothing about the template. */
async function isThere(liquid: Liquid, file: string): Promise<boolean> {
  const found = await stat(join(`${liquid.options.root[0]}`, file)).catch(() => null)
  return found !== null
}

function unknownTemplate(name: string, known: readonly string[]): UnrecoverableError {
  const shown = JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
  const what = NAME.test(name) ? 'There is no e-mail template' : 'Not the name of an e-mail template:'
  const which = known.length === 0 ? 'the template folder holds none' : `known are: ${known.join(', ')}`
  return new UnrecoverableError(`${what} ${shown}; ${which}.`)
}
