/** The package as those who install it get it: `npm run package:check`, which `prepublishOnly` runs too. */
import { expect, test } from 'vitest'
import { projectRoot, run } from '../support/cli.ts'

test('the package is clean, can be installed, imported, run and compiled against', async () => {
  const { code, text } = await run(['scripts/package-check.js', '--offline'], {
    cwd: projectRoot,
    command: [process.execPath],
  })
  expect(code, text).toBe(0)
  expect(text).toMatch(
    /^\d+ files, \d+ kB packed\npublint and arethetypeswrong find nothing\ninstalled alone, it gives queue-worker, queue-worker\/testing/,
  )
})
