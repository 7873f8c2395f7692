import { type DeclarationReflection, ReferenceReflection } from 'typedoc'
import type { MarkdownThemeContext } from 'typedoc-plugin-markdown'
import { commentText } from './comment-text.ts'
import type { Material } from './reference-theme.ts'
import type { Section } from './sections.ts'
import { symbolPart } from './symbol-part.ts'

/** An entry point: what it holds at a glance, then symbol by symbol, in the order and the sections of its file. */
export function modulePage(
  context: MarkdownThemeContext,
  module: DeclarationReflection,
  { sections, texts }: Material,
): string {
  const here = sections.get(module.name) ?? []
  const symbols = new Map((module.children ?? []).map((child) => [child.name, child]))
  const ofSection = (section: Section) => section.names.flatMap((name) => symbols.get(name) ?? [])
  const contents = here.map((section) => {
    const links = ofSection(section).map((symbol) => symbolLink(context, symbol))
    return `- ${section.title === null ? '' : `${section.title}: `}${links.join(', ')}`
  })
  const parts = here.flatMap((section) => {
    const own = ofSection(section).filter((symbol) => !(symbol instanceof ReferenceReflection))
    const title = section.title === null || own.length === 0 ? [] : [`## ${section.title}`]
    const level = section.title === null ? 2 : 3
    return [...title, ...own.map((symbol) => symbolPart(context, symbol, level, texts))]
  })
  return [`# ${module.name}`, commentText(context, module.comment), contents.join('\n'), ...parts].join(
    '\n\n',
  )
}

/** A re-export is described where it was declared; the link goes there, and says so. */
function symbolLink(context: MarkdownThemeContext, symbol: DeclarationReflection): string {
  const target = symbol instanceof ReferenceReflection ? symbol.getTargetReflectionDeep() : symbol
  const home = target === symbol ? '' : ` (of \`${target.parent!.name}\`)`
  return `[\`${symbol.name}\`](${context.urlTo(target)})${home}`
}
