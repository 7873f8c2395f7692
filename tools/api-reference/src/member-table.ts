import { type Comment, type DeclarationReflection, type ParameterReflection, ReflectionType } from 'typedoc'
import type { MarkdownThemeContext } from 'typedoc-plugin-markdown'
import { commentText } from './comment-text.ts'

/** Properties with type, default and meaning; columns that would be empty are left out. */
export function propertyTable(
  context: MarkdownThemeContext,
  owner: DeclarationReflection,
  properties: DeclarationReflection[],
): string {
  const rows = context.helpers.getFlattenedDeclarations(properties).map((property) => {
    const signature = property.signatures?.[0]
    const comment = property.comment ?? signature?.comment
    return [
      `\`${property.name}${property.flags.isOptional ? '?' : ''}\``,
      typeOf(context, property),
      defaultOf(context, comment),
      meaningOf(context, comment),
    ]
  })
  return table([owner.name.endsWith('Options') ? 'option' : 'property', 'type', 'default', 'meaning'], rows)
}

/** An object's own members follow as rows of their own. */
function typeOf(context: MarkdownThemeContext, { signatures, type }: DeclarationReflection): string {
  if (signatures !== undefined) return context.partials.functionType(signatures)
  if (type instanceof ReflectionType && type.declaration.children !== undefined) return '`object`'
  return context.partials.someType(type)
}

/** Only for parameters of which there is more to say than the signature does. */
export function parameterTable(context: MarkdownThemeContext, parameters: ParameterReflection[]): string {
  const rows = parameters
    .filter((parameter) => parameter.comment !== undefined)
    .map((parameter) => [`\`${parameter.name}\``, meaningOf(context, parameter.comment)])
  return table(['parameter', 'meaning'], rows)
}

function defaultOf(context: MarkdownThemeContext, comment: Comment | undefined): string {
  const tag = comment?.getTag('@default')
  if (tag === undefined) return ''
  // TypeDoc takes every default for code, and fences it.
  const text = context.helpers.getCommentParts(tag.content).replace(/^```\w*\n|\n```$/g, '')
  return text.includes(' ') ? text : `\`${text}\``
}

function meaningOf(context: MarkdownThemeContext, comment: Comment | undefined): string {
  return commentText(context, comment)
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const columns = titles.flatMap((_, column) => (rows.some((row) => row[column] !== '') ? [column] : []))
  const line = (cells: readonly string[]) =>
    `| ${columns.map((column) => cell(cells[column]!)).join(' | ')} |`
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A cell is one line, and a bar in it does not end it. */
const cell = (text: string) =>
  text
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/(?<!\\)\|/g, '\\|')
