/** Loaded before a program (`--import`): its clock is off by so many milliseconds, or jumps between that and right. */
const { CLOCK_OFF_MS = '0', CLOCK_JUMPS = '' } = process.env
const RealDate = Date
/** Not the clock that is wrong here; it only says when to jump. */
const isOff = () => CLOCK_JUMPS === '' || Math.floor(performance.now() / 700) % 2 === 0
const now = () => RealDate.now() + (isOff() ? Number(CLOCK_OFF_MS) : 0)

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  apply: (target) => new target(now()).toString(),
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
})
