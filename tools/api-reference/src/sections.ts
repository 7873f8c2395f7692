import ts from 'typescript'

/** Part of an entry file: its exports below one `// Title` comment, in their order. */
export interface Section {
  readonly title: string | null
  readonly names: readonly string[]
}

export function readSections(file: ts.SourceFile): Section[] {
  const sections: { title: string | null; names: string[] }[] = [{ title: null, names: [] }]
  for (const statement of file.statements) {
    const title = titleAbove(file, statement)
    if (title !== null) sections.push({ title, names: [] })
    sections.at(-1)!.names.push(...exportedNames(file, statement))
  }
  return sections.filter((section) => section.names.length > 0)
}

function titleAbove(file: ts.SourceFile, statement: ts.Statement): string | null {
  const lines = (ts.getLeadingCommentRanges(file.text, statement.pos) ?? [])
    .filter((range) => range.kind === ts.SyntaxKind.SingleLineCommentTrivia)
    .map((range) => file.text.slice(range.pos + 2, range.end).trim())
    .filter((line) => !line.startsWith('biome-ignore'))
  return lines.at(-1) ?? null
}

function exportedNames(file: ts.SourceFile, statement: ts.Statement): string[] {
  if (ts.isExportDeclaration(statement)) {
    const clause = statement.exportClause
    return clause !== undefined && ts.isNamedExports(clause)
      ? clause.elements.map((each) => each.name.text)
      : []
  }
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((each) => each.name.getText(file))
  }
  const name = (statement as ts.DeclarationStatement).name
  return name === undefined ? [] : [name.text]
}
