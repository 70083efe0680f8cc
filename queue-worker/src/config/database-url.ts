/**
 * A connection string as a URL; undefined when it cannot be read, also because of the percent-encoding. Without
 * a host (`postgresql:///db?host=/folder`) it gets localhost, as URLs of this kind have no user otherwise.
 */
export function parseDatabaseUrl(text: string): URL | undefined {
  const withHost = text.replace(/^(postgres(?:ql)?:\/\/(?:[^@/?]*@)?)(?=[/?]|$)/i, '$1localhost')
  try {
    const url = new URL(withHost)
    for (const part of [url.username, url.password, url.hostname, url.pathname]) decodeURIComponent(part)
    return /^postgres(ql)?:$/.test(url.protocol) ? url : undefined
  } catch {
    return undefined
  }
}

/** What the dashboard writes where the password belongs; nobody's secret. */
export const PLACEHOLDER = /\[YOUR-PASSWORD\]/i

/** The passwords in a connection string, as they are written and as they are meant; none when it cannot be read. */
export function passwordsIn(text: string): string[] {
  const url = parseDatabaseUrl(text)
  if (url === undefined || PLACEHOLDER.test(text)) return []
  const found = [url.password, decodeURIComponent(url.password), url.searchParams.get('password') ?? '']
  return [...new Set(found)].filter((password) => password !== '')
}
