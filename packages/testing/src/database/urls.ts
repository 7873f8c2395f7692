/** A URL fit for output: no password, in the userinfo or as a parameter. */
export function maskPassword(url: string): string {
  if (!URL.canParse(url)) return '(a URL that cannot be parsed)'
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '***'
  if (parsed.searchParams.has('password')) parsed.searchParams.set('password', '***')
  return parsed.href
}

/** The same server and credentials, another database. */
export function withDatabase(url: string, database: string): string {
  const parsed = new URL(url)
  parsed.pathname = `/${encodeURIComponent(database)}`
  return parsed.href
}
