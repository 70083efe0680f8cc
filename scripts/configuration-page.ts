/**
 * Writes docs/configuration.md: `npm run docs:configuration`. What a setting accepts, its default and its other names come
 * from its schema, what it means from .env.example; a test holds that the page is what this writes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { QUEUE_SUFFIXES } from '../queue-worker/src/config/overrides.ts'
import {
  ALIASES,
  DEFAULTS,
  QUEUE_FIELDS,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
} from '../queue-worker/src/config/settings.ts'

export const example = new URL('../.env.example', import.meta.url)
export const page = new URL('../docs/configuration.md', import.meta.url)

const INTRO = `# Settings

<!-- Written by "npm run docs:configuration" from queue-worker/src/config/settings.ts and .env.example. Change those. -->

Settings are environment variables. A file \`.env\` in the folder that the program is started from is read as well; the
environment wins over it. An empty value counts as not set. \`npx queue-worker check\` reads all of them, connects to nothing, and
names everything that is missing or malformed at once, as every other command does before it begins. It also tells of names that look
misspelt. What is set is for the process that reads it when it starts: restart it after a change.

- **Default** — a dash: none, the setting is not needed or has to be given.
- **Allowed** — the bounds are part of it. A dash: any text, but for what the last column says.
- **Read by** — where it has an effect: \`worker\` (also \`start\`, \`dev\` and \`drain\`), \`scheduler\` (also \`start\` and \`dev\`, unless
  \`SCHEDULER=off\`), \`all\` (these and every command that connects). A malformed value stops all of them.
- **Per queue** — such a setting can be given to one queue by its name in capitals, with \`_\` for whatever is no letter or digit:
  \`EMAIL_QUEUE_CONCURRENCY=20\` for \`email_queue\` instead of \`WORKER_CONCURRENCY\`. That wins over what the queue's processor asks for, and
  that over \`WORKER_CONCURRENCY\`.
`

/** Where a setting has an effect, unless it is the worker alone. */
const READ_BY: Partial<Record<SettingName, string>> = {
  ...of('all', [
    ...['NODE_ENV', 'QUEUE_TRANSPORT', 'SUPABASE_URL', 'SUPABASE_SECRET_KEY', 'DATABASE_URL'],
    ...['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'PGSSLMODE'],
    ...['DATABASE_CA_FILE', 'DATABASE_POOL_SIZE', 'PREFER_IPV4', 'CONNECT_TIMEOUT_MS'],
  ]),
  ...of('worker, scheduler', ['WORKER_ID', 'WORKER_GIVE_UP_SECONDS', 'HOST', 'PORT', 'LOG_LEVEL']),
  ...of('scheduler, `prune`', ['RETENTION_DAYS', 'WORKER_ARCHIVE_RETENTION_DAYS']),
  SCHEDULER: '`start`, `dev`',
  SCHEDULER_POLL_SECONDS: 'scheduler',
}

function of(reader: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, reader]))
}

type Section = { readonly title: string; readonly settings: { name: SettingName; meaning: string }[] }

/** What .env.example tells: under each heading its settings, each with the comment above it. */
export function readExample(text: string): Section[] {
  const sections: Section[] = []
  let comment: string[] = []
  for (const line of text.split('\n')) {
    const [, title] = /^# --- (.*?) -+$/.exec(line) ?? []
    const name = SETTING_NAMES.find((known) => line.startsWith(`#${known}=`))
    if (title !== undefined) sections.push({ title, settings: [] })
    else if (name !== undefined) sections.at(-1)?.settings.push({ name, meaning: comment.join(' ') })
    else if (line.startsWith('# ')) {
      comment.push(line.slice(2))
      continue
    }
    comment = []
  }
  return sections
}

/** What its schema tells whoever got it wrong; no kind of setting but plain text takes this. */
function allowed(name: SettingName): string {
  const refused = SETTINGS.shape[name].safeParse('\u0000')
  return refused.success ? '—' : (/allowed: (.*)$/.exec(refused.error.issues[0]?.message ?? '')?.[1] ?? '—')
}

const UNITS = { MS: 'ms', TIMEOUT: 'ms', SECONDS: 's', BYTES: 'bytes', DAYS: 'days' }

function unit(name: SettingName): string {
  const [, word] = Object.entries(UNITS).find(([end]) => name.endsWith(`_${end}`)) ?? []
  return word ?? ''
}

function row({ name, meaning }: Section['settings'][number]): string {
  const fallback = DEFAULTS[name]
  const isPerQueue = QUEUE_SUFFIXES.some((suffix) => name === `WORKER_${suffix}`)
  const aliases = (ALIASES[name] ?? []).filter((alias) => !meaning.includes(alias))
  const text = [meaning.replace(/ \(queue\)$/, ''), ...(isPerQueue ? ['**Per queue.**'] : [])]
  if (aliases.length > 0) text.push(`Also read as ${aliases.join(', ')}.`)
  const cells = [
    `\`${name}\``,
    fallback === undefined ? '—' : `\`${fallback}\``,
    unit(name),
    safe(allowed(name)),
    READ_BY[name] ?? 'worker',
    safe(text.join(' ')),
  ]
  return `| ${cells.join(' | ')} |`
}

/** Names of places like <ref> would be taken for HTML, and a bar for the end of a cell. */
const safe = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '\\<')

export function configurationPage(): string {
  const tables = readExample(readFileSync(example, 'utf8')).map(({ title, settings }) =>
    [
      `## ${title}`,
      '',
      '| Setting | Default | Unit | Allowed | Read by | Meaning |',
      '|---|---|---|---|---|---|',
      ...settings.map(row),
    ].join('\n'),
  )
  const perQueue = Object.keys(QUEUE_FIELDS).map((suffix) => `\`…_${suffix}\``)
  const last = `## Per queue\n\n${perQueue.join(', ')}: what each means stands above, at \`WORKER_…\`.`
  return `${[INTRO, ...tables, last].join('\n\n').replaceAll('\n\n\n', '\n\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, configurationPage())
