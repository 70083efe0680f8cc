/** Closing what was opened: all of it, whatever of it cannot be closed. */
import { expect, test } from 'vitest'
import { closeAll } from '../../src/utils/close-all.ts'

test('the last one is closed first, and a failure keeps none of the others open', async () => {
  const closed: string[] = []
  const opened = ['stack', 'broker', 'inbox', 'worker'].map((name) => async () => {
    closed.push(name)
    if (name === 'broker' || name === 'inbox') throw new Error(`the ${name} died`)
  })
  opened.unshift(() => {
    closed.push('folder')
    throw new Error('at once')
  })
  await expect(closeAll(opened)).rejects.toThrow('the inbox died')
  expect(closed).toEqual(['worker', 'inbox', 'broker', 'stack', 'folder'])
  await closeAll(opened)
  expect(closed).toHaveLength(5)
})
