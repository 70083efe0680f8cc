/** The processor of the doctor's probe message: tells that it ran. */
import { z } from 'zod'
import { defineProcessor, type Processor } from './define.ts'

const payload = z.object({ probe: z.literal(true) })

export function probeProcessor(queue: string, onRun: () => void): Processor<z.infer<typeof payload>> {
  return defineProcessor({ queue, payload, onSuccess: 'delete', process: onRun })
}
