import type { Comment } from 'typedoc'
import type { MarkdownThemeContext } from 'typedoc-plugin-markdown'

/** Tags with a place of their own: a column, a table. */
const ELSEWHERE: readonly string[] = ['@default', '@param']

const LABELS: Readonly<Record<string, string>> = {
  '@throws': 'Throws',
  '@returns': 'Returns',
  '@see': 'See',
  '@example': '',
}

/** What a comment says, then each of its tags as a paragraph. */
export function commentText(context: MarkdownThemeContext, comment: Comment | undefined): string {
  if (comment === undefined) return ''
  const tags = comment.blockTags
    .filter(({ tag }) => !ELSEWHERE.includes(tag))
    .map(({ tag, content }) => {
      const label = LABELS[tag]
      if (label === undefined) throw new Error(`The reference has no words for the tag ${tag}`)
      return `${label === '' ? '' : `${label} `}${context.helpers.getCommentParts(content).trim()}`
    })
  return [context.helpers.getCommentParts(comment.summary), ...tags]
    .filter((text) => text !== '')
    .join('\n\n')
}
