/** Builds an image's folder by hand, where there is no engine: the steps of the Dockerfile one by one, in empty folders. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DockerfileParser, type Instruction, type JSONInstruction } from 'dockerfile-ast'
import { folder, projectRoot } from './cli.ts'

export const dockerfileText = readFileSync(join(projectRoot, 'Dockerfile'), 'utf8')
const parsed = DockerfileParser.parse(dockerfileText)

export const instructions = (keyword: string): Instruction[] =>
  parsed.getInstructions().filter((one) => one.getKeyword() === keyword)

const words = (one: Instruction): string[] => one.getArguments().map((argument) => argument.getValue())

/** The arguments of an instruction in exec form; fails for one in shell form, which would keep signals from Node. */
export function execForm(keyword: string): string[] {
  const instruction = instructions(keyword).at(-1)
  const text = instruction?.getRawArgumentsContent() ?? ''
  const json = keyword === 'HEALTHCHECK' ? text.slice(text.indexOf('[')) : text
  return JSON.parse(json)
}

/** What ENV gives. */
export const imageEnv = (): Record<string, string> =>
  Object.fromEntries(
    instructions('ENV').flatMap((one) => words(one).map((word) => word.split('=') as [string, string])),
  )

/** What of the project the build gets to see: .dockerignore refuses everything, then lets some through. */
const sent = readFileSync(join(projectRoot, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('!'))
  .map((line) => line.slice(1))

async function copy(sources: readonly string[], from: string, to: string, target: string): Promise<void> {
  for (const source of sources) {
    if (from === projectRoot && !sent.some((path) => source === path || source.startsWith(`${path}/`)))
      throw new Error(`${source} is kept from the build by .dockerignore`)
    if (!existsSync(join(from, source))) throw new Error(`${source} is not there`)
    const isInto = target.endsWith('/') || target === '.'
    await cp(join(from, source), join(to, target, isInto ? basename(source) : ''), { recursive: true })
  }
}

/** Returns the /app of the last stage. */
export async function buildByHand(env: Record<string, string | undefined>): Promise<string> {
  const stages = new Map<string, string>()
  let here = ''
  for (const one of parsed.getInstructions()) {
    const args = words(one)
    switch (one.getKeyword()) {
      case 'FROM':
        here = await folder('queue-worker-image-')
        stages.set(args[2] ?? 'last', here)
        break
      case 'COPY': {
        const stage = (one as JSONInstruction & { getFromFlag?: () => { getValue(): string | null } | null })
          .getFromFlag?.()
          ?.getValue()
        const from = stage ? (stages.get(stage) ?? '') : projectRoot
        const paths = args.filter((word) => !word.startsWith('--'))
        const sources = paths.slice(0, -1).map((path) => path.replace(/^\/app\//, ''))
        await copy(sources, from, here, paths.at(-1) ?? '.')
        break
      }
      case 'RUN':
        execFileSync('sh', ['-c', args.join(' ')], { cwd: here, env, stdio: ['ignore', 'pipe', 'pipe'] })
        break
    }
  }
  return here
}
