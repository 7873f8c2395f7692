import { type DeclarationReflection, ReflectionKind, type SignatureReflection } from 'typedoc'
import type { MarkdownThemeContext } from 'typedoc-plugin-markdown'
import { commentText } from './comment-text.ts'
import { parameterTable, propertyTable } from './member-table.ts'
import type { SourceTexts } from './source-text.ts'
import { typeLinks } from './type-links.ts'

/** A heading, what the symbol looks like, what its comment says, its members. */
export function symbolPart(
  context: MarkdownThemeContext,
  symbol: DeclarationReflection,
  level: number,
  texts: SourceTexts,
): string {
  const heading = `${'#'.repeat(level)} ${context.partials.memberTitle(symbol)}`
  const body = symbol.kindOf(ReflectionKind.ClassOrInterface)
    ? container(context, symbol, level, texts)
    : symbol.signatures === undefined
      ? value(context, symbol, texts)
      : callable(context, symbol, symbol.signatures, texts)
  return [heading, ...body].filter((part) => part !== '').join('\n\n')
}

function container(
  context: MarkdownThemeContext,
  symbol: DeclarationReflection,
  level: number,
  texts: SourceTexts,
): string[] {
  const children = symbol.children ?? []
  const methods = children.filter((child) => child.kindOf(ReflectionKind.Method))
  const constructors = children.filter((child) => child.kindOf(ReflectionKind.Constructor))
  const calls = [...constructors, symbol].flatMap((each) => each.signatures ?? [])
  const inside = [...calls, ...(symbol.indexSignatures ?? [])].map(
    (call) => `  ${signatureText(context, call, texts).replaceAll('\n', '\n  ')}\n`,
  )
  const head = texts.get(symbol) ?? symbol.name
  return [
    code(inside.length === 0 ? head : `${head} {\n${inside.join('')}}`),
    commentText(context, symbol.comment),
    ...calls.flatMap((call) => explained(context, call)),
    propertyTable(
      context,
      symbol,
      children.filter((child) => child.kindOf(ReflectionKind.Property)),
    ),
    typeLinks(context, symbol, [
      ...(symbol.extendedTypes ?? []),
      ...calls,
      ...methods.flatMap((method) => method.signatures ?? []),
    ]),
    ...methods.map((method) => symbolPart(context, method, level + 1, texts)),
  ]
}

/** Overloads together, and what their comments have in common once. */
function callable(
  context: MarkdownThemeContext,
  symbol: DeclarationReflection,
  signatures: SignatureReflection[],
  texts: SourceTexts,
): string[] {
  return [
    code(signatures.map((signature) => signatureText(context, signature, texts)).join('\n\n')),
    ...new Set(signatures.flatMap((signature) => explained(context, signature))),
    symbol.kindOf(ReflectionKind.Method) ? '' : typeLinks(context, symbol, signatures),
  ]
}

/** A type, a constant. */
function value(context: MarkdownThemeContext, symbol: DeclarationReflection, texts: SourceTexts): string[] {
  const text = texts.get(symbol)
  return [
    text === undefined ? context.partials.declarationTitle(symbol) : code(text),
    commentText(context, symbol.comment),
    typeLinks(context, symbol, symbol.type === undefined ? [] : [symbol.type]),
  ]
}

/** What the comment of a signature says, in words and of its parameters. */
function explained(context: MarkdownThemeContext, signature: SignatureReflection): string[] {
  return [commentText(context, signature.comment), parameterTable(context, signature.parameters ?? [])]
}

/** As written; where the source leaves the answer's type to the compiler, as the plugin prints it, on fewer lines. */
function signatureText(
  context: MarkdownThemeContext,
  signature: SignatureReflection,
  texts: SourceTexts,
): string {
  const printed = () =>
    context.partials
      .signatureTitle(signature)
      .replace(/^```\w*\n|;?\n```$/g, '')
      .replace(/<\n *\| /g, '<')
      .replace(/\n *\| /g, ' | ')
  return texts.get(signature) ?? printed()
}

const code = (text: string) => `\`\`\`ts\n${text}\n\`\`\``
