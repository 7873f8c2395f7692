import {
  type DeclarationReflection,
  makeRecursiveVisitor,
  type ReferenceType,
  type Reflection,
  ReflectionKind,
  SignatureReflection,
  type SomeType,
} from 'typedoc'
import type { MarkdownThemeContext } from 'typedoc-plugin-markdown'

/** A code block holds no links; this line below it leads to the types it names. */
export function typeLinks(
  context: MarkdownThemeContext,
  owner: DeclarationReflection,
  places: readonly (SomeType | SignatureReflection)[],
): string {
  const found = new Map<string, Reflection>()
  const visitor = makeRecursiveVisitor({
    reference: ({ reflection }: ReferenceType) => {
      if (reflection === undefined || reflection === owner) return
      if (reflection.kindOf(ReflectionKind.SomeExport)) found.set(reflection.name, reflection)
    },
    reflection: ({ declaration }) => {
      for (const child of declaration.children ?? []) {
        child.type?.visit(visitor)
        for (const signature of child.signatures ?? []) visitSignature(signature)
      }
      for (const signature of declaration.signatures ?? []) visitSignature(signature)
    },
  })
  const visitSignature = (signature: SignatureReflection) => {
    for (const typeParameter of signature.typeParameters ?? []) typeParameter.type?.visit(visitor)
    for (const parameter of signature.parameters ?? []) parameter.type?.visit(visitor)
    signature.type?.visit(visitor)
  }
  for (const place of places) {
    if (place instanceof SignatureReflection) visitSignature(place)
    else place.visit(visitor)
  }
  if (found.size === 0) return ''
  return `Types: ${[...found].map(([name, target]) => `[\`${name}\`](${context.urlTo(target)})`).join(', ')}`
}
