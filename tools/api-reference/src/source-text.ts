import {
  type Application,
  type Context,
  Converter,
  type DeclarationReflection,
  type Reflection,
  ReflectionKind,
  type SignatureReflection,
} from 'typedoc'
import ts from 'typescript'

/** What a symbol or a signature looks like in its source, without the body. */
export type SourceTexts = ReadonlyMap<Reflection, string>

/** The declaration as written is easier to read than one that is printed from its types. */
export function collectSourceTexts(app: Application): SourceTexts {
  const texts = new Map<Reflection, string>()
  const remember = (reflection: Reflection, text: string | undefined) => {
    if (text !== undefined) texts.set(reflection, text)
  }
  app.converter.on(
    Converter.EVENT_CREATE_SIGNATURE,
    (
      _: Context,
      signature: SignatureReflection,
      node: ts.SignatureDeclaration | ts.JSDocSignature | undefined,
    ) => {
      if (node !== undefined) remember(signature, signatureText(node))
    },
  )
  app.converter.on(
    Converter.EVENT_CREATE_DECLARATION,
    (context: Context, reflection: DeclarationReflection) => {
      const node = context.getSymbolFromReflection(reflection)?.declarations?.[0]
      if (node !== undefined) remember(reflection, declarationText(reflection, node))
    },
  )
  return texts
}

function signatureText(node: ts.SignatureDeclaration | ts.JSDocSignature): string | undefined {
  if (ts.isConstructorDeclaration(node)) return between(node, node.getStart(), node.body!.getStart())
  if (ts.isFunctionDeclaration(node) && node.type !== undefined) {
    return between(node, node.getStart(), node.type.getEnd())
  }
  if (ts.isMethodDeclaration(node) && node.type !== undefined) {
    return between(node, node.getStart(), node.type.getEnd())
  }
  if (
    ts.isMethodSignature(node) ||
    ts.isCallSignatureDeclaration(node) ||
    ts.isIndexSignatureDeclaration(node)
  ) {
    return plain(node)
  }
  return undefined
}

function declarationText(reflection: DeclarationReflection, node: ts.Declaration): string | undefined {
  if (reflection.kindOf(ReflectionKind.TypeAlias) && ts.isTypeAliasDeclaration(node)) return plain(node)
  if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) {
    const text = between(node, node.getStart(), node.members.pos)
    return text.replace(/\s*\{$/, '')
  }
  if (ts.isVariableDeclaration(node)) return constantText(node)
  return undefined
}

/** With its value where that is short; nothing where its type says more. */
function constantText(node: ts.VariableDeclaration): string | undefined {
  if (node.type !== undefined) return `const ${between(node, node.getStart(), node.type.getEnd())}`
  const text = `const ${plain(node)}`
  if (text.length <= 100 && !text.includes('\n')) return text
  return ts.isTemplateLiteral(node.initializer!) ? `const ${node.name.getText()}: string` : undefined
}

const plain = (node: ts.Node) => between(node, node.getStart(), node.getEnd())

/** The text without what only the compiler and the module need, and without the indentation of its place. */
function between(node: ts.Node, start: number, end: number): string {
  const file = node.getSourceFile()
  const margin = file.getLineAndCharacterOfPosition(start).character
  return file.text
    .slice(start, end)
    .replaceAll(`\n${' '.repeat(margin)}`, '\n')
    .replace(/^(export |default |declare |async |override )+/, '')
    .replace(/;?\s*$/, '')
}
