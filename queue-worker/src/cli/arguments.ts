/** Values as the command line takes them. */
import { InvalidArgumentError } from 'commander'
import { parseSeconds } from '../commands/duration.ts'

/** A duration as commander takes it: it puts the option's name before this message. */
export function seconds(text: string): number {
  const value = parseSeconds(text)
  if (value === null) throw new InvalidArgumentError('Write 30s, 5m, 2h or 1d.')
  return value
}

/** A number as commander takes it, within bounds that are told. */
export function between(least: number, most: number, isWhole = true) {
  return (text: string): number => {
    const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN
    if (value >= least && value <= most && (Number.isInteger(value) || !isWhole)) return value
    throw new InvalidArgumentError(`Give a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}.`)
  }
}
