import type { Mark } from './spans.ts'

/** What stands before the last `@` of an authority; `@` may occur in it. */
const STRICT = String.raw`[^\s/?#"'<>]*(?=@)`
/** A password that should have been encoded and holds `/`, `?` or `#`; what looks like a port is none. */
const SLOPPY = String.raw`[^\s:/?#@"'<>]{0,256}:(?!\d{1,5}(?:[/?#\s"'<>,;)\]}]|$))\S{1,512}(?=@)`
const AUTHORITY = new RegExp(`//(${STRICT}|${SLOPPY})`, 'g')

/** `user:password@host` without a scheme, as MySQL drivers and proxies write it. */
const SCHEMELESS =
  /(?<![\w.%+-])(?!(?:npm|mailto|acct|xmpp|sips?|workspace|patch|docker|image|git|ssh):)([\w.+-]{1,64}:[^\s:@/"'<>,;=]{3,128})(?=@[\w[(])/g

/** Finds the userinfo of URLs and connection strings, user and password together. */
export function findUserinfo(text: string, mark: Mark): void {
  for (const match of text.matchAll(AUTHORITY)) mark(match.index + 2, match.index + match[0].length)
  for (const match of text.matchAll(SCHEMELESS)) mark(match.index, match.index + match[0].length)
}
