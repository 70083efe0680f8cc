/** Cookies as they come and go. Pure. */

/** All of one name: a browser sends one for each path that fits. */
export function cookiesNamed(name: string, header: string | undefined): string[] {
  const prefix = `${name}=`
  return (header ?? '')
    .split(';')
    .map((one) => one.trim())
    .filter((one) => one.startsWith(prefix))
    .map((one) => one.slice(prefix.length))
}

/** Out of reach of scripts, and never sent with what another site asks for. Without `maxAgeSeconds` it ends with the browser. */
export function cookieText(
  name: string,
  value: string,
  options: { path: string; isSecure: boolean; maxAgeSeconds?: number },
): string {
  const { path, isSecure, maxAgeSeconds } = options
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`
  return `${name}=${value}; Path=${path}${age}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
}
