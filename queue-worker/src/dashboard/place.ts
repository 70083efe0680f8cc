/** Where the dashboard is among the routes of a server: known before the rest of it is loaded. */

/** The path itself, and all below it. */
export function placePattern(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.*+?^$()|[\]{}\\]/g, '\\$&')}(/.*)?$`)
}
