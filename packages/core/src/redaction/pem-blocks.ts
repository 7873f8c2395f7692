import type { Mark } from './spans.ts'

const BEGIN = /-{4,5} ?BEGIN /g
const END = /-{4,5} ?END [^-\n]{0,64}-{0,5}/g
/** Characters of a body and of its escaped or quoted line ends. */
const BODY = /[A-Za-z0-9+/=\s\\"',]/

/**
 * Finds PEM blocks of any kind, from their first dash to their last. A block without an end reaches to the end of the
 * text, one without a beginning back over all that may be its body.
 */
export function findPemBlocks(text: string, mark: Mark): void {
  const end = new RegExp(END)
  let covered = 0
  const coverLooseEnds = (until: number): void => {
    end.lastIndex = covered
    for (let match = end.exec(text); match !== null && match.index < until; match = end.exec(text)) {
      let from = match.index
      while (from > covered && BODY.test(text[from - 1]!)) from--
      covered = match.index + match[0].length
      mark(from, covered)
    }
  }
  for (const begin of text.matchAll(BEGIN)) {
    if (begin.index < covered) continue
    coverLooseEnds(begin.index)
    end.lastIndex = begin.index
    const match = end.exec(text)
    covered = match === null ? text.length : match.index + match[0].length
    mark(begin.index, covered)
  }
  coverLooseEnds(text.length)
}
