/** This package's version, for the registry and `--version`. */
import { createRequire } from 'node:module'

export function packageVersion(): string {
  const up = import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json'
  const { version } = createRequire(import.meta.url)(up) as { version: string }
  return version
}
