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
