/** The processor of AMQP messages as the settings ask for it. */
import type { Config } from '../config.ts'
import { createPublisher } from '../services/amqp.ts'
import type { Logger } from '../utils/logger.ts'
import { amqpProcessor } from './amqp.ts'
import type { Processor } from './define.ts'

type Address = NonNullable<Config['amqp']['address']>

export function amqp(config: Config, address: Address, logger: Logger, queue: string): Processor {
  const { connectTimeoutMs } = config.connection
  const publisher = createPublisher({ address, caFile: config.amqp.caFile, connectTimeoutMs }, logger)
  return amqpProcessor({ publisher, queue })
}
