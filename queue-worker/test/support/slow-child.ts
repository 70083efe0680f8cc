/** A child for suspects that takes its time to be ready. Each ending tells in `ranMs` which message it is of. */
import type { FromChild, ToChild } from '../../src/engine/child.ts'

const READY_MS = 600
const tell = (message: FromChild) => process.send?.(message)

process.on('message', (message: ToChild) => {
  if (message.type === 'start') setTimeout(() => tell({ type: 'ready' }), READY_MS)
  if (message.type !== 'run') return
  tell({ type: 'ending', outcome: { kind: 'archive' }, ranMs: Number(message.message.msgId) })
})
process.on('disconnect', () => process.exit(0))
