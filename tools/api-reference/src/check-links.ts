/** Links between the pages that lead nowhere: a page that is not there, a heading that a code host gives no such anchor. */
export function brokenLinks(pages: ReadonlyMap<string, string>): string[] {
  const anchors = new Map([...pages].map(([name, text]) => [name, anchorsOf(text)]))
  return [...pages].flatMap(([name, text]) =>
    [...withoutCode(text).matchAll(/\]\(([\w.-]*\.md)?(?:#([^)]+))?\)/g)]
      .filter(([, page = name, anchor]) =>
        anchor === undefined ? !anchors.has(page) : !anchors.get(page)?.has(anchor),
      )
      .map(([link]) => `${name}: the link ${link.slice(1)} leads nowhere`),
  )
}

/** As code hosts make them: lower case, without punctuation, a number after the second and further ones. */
function anchorsOf(text: string): Set<string> {
  const counts = new Map<string, number>()
  const anchors = [...withoutCode(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const slug = heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    const earlier = counts.get(slug) ?? 0
    counts.set(slug, earlier + 1)
    return earlier === 0 ? slug : `${slug}-${earlier}`
  })
  return new Set(anchors)
}

const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, '')
