/** Gives a list another first element each time: whoever comes last may get nothing of what is shared. */
export function createTurns(): <T>(all: readonly T[]) => T[] {
  let turn = 0
  return (all) => {
    turn = (turn + 1) % all.length
    return [...all.slice(turn), ...all.slice(0, turn)]
  }
}
