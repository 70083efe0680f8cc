/** The stack's folder and the names of what is in it. */
import { accessSync, constants, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SetupError } from '../errors.ts'

export type Folder = {
  readonly path: string
  readonly state: string
  readonly lock: string
  readonly mail: string
  readonly postgresLog: string
  readonly postgrestLog: string
}

/** Makes the folder. Throws SetupError when it cannot be made or written. */
export function openFolder(directory: string): Folder {
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK | constants.X_OK)
    const path = realpathSync(directory)
    // Passwords and mails are in it.
    writeFileSync(join(path, '.gitignore'), '*\n')
    return folderAt(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SetupError(
      `the embedded stack cannot write its folder ${resolve(directory)} (${code})`,
      'Start it in a folder you may write, or make that folder writable.',
      { cause: error },
    )
  }
}

/** Null when there is none; makes nothing. */
export function findFolder(directory: string): Folder | null {
  return existsSync(directory) ? folderAt(realpathSync(directory)) : null
}

function folderAt(path: string): Folder {
  const file = (name: string) => join(path, name)
  return {
    path,
    state: file('stack.json'),
    lock: file('stack.lock'),
    mail: file('mail'),
    postgresLog: file('postgres.log'),
    postgrestLog: file('postgrest.log'),
  }
}
