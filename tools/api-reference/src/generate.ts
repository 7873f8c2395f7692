import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Application,
  Comment,
  Logger,
  LogLevel,
  normalizePath,
  type ParameterReflection,
  type ProjectReflection,
  ReferenceType,
  type TypeDocOptions,
} from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'
import { brokenLinks } from './check-links.ts'
import type { EntryPoint } from './entry-points.ts'
import { NOT_EXPORTED, NOT_LINKED } from './not-exported.ts'
import { referenceTheme } from './reference-theme.ts'
import { readSections } from './sections.ts'
import { collectSourceTexts } from './source-text.ts'

class Warnings extends Logger {
  readonly found: string[] = []

  override log(message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.found.push(message)
  }
}

const options: TypeDocOptions & Partial<PluginOptions> = {
  name: 'API reference',
  plugin: ['typedoc-plugin-markdown'],
  theme: 'reference',
  router: 'module',
  flattenOutputFiles: true,
  excludeScopesInPaths: true,
  readme: 'none',
  disableSources: true,
  disableGit: true,
  excludeExternals: true,
  excludePrivate: true,
  excludeInternal: true,
  sort: ['source-order'],
  // Their anchors: only symbols and methods have headings.
  parametersFormat: 'none',
  interfacePropertiesFormat: 'table',
  classPropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  propertyMembersFormat: 'table',
  useCodeBlocks: true,
  expandParameters: true,
  expandObjects: true,
  externalSymbolLinkMappings: NOT_LINKED,
  logLevel: LogLevel.Warn,
}

/** Writes the reference into `folder` and returns what is wrong with it. */
export async function generate(
  root: URL,
  folder: string,
  entryPoints: readonly EntryPoint[],
): Promise<string[]> {
  const app = await Application.bootstrapWithPlugins({
    ...options,
    outputs: [{ name: 'markdown', path: folder }],
    tsconfig: new URL('tsconfig.json', root).pathname,
    entryPoints: entryPoints.map((entryPoint) => entryPoint.source),
  } as TypeDocOptions)
  const warnings = new Warnings()
  app.logger = warnings

  const texts = collectSourceTexts(app)
  const doors = (app.getEntryPoints() ?? []).map((found) => {
    const entryPoint = entryPoints.find(
      (each) => normalizePath(each.source) === normalizePath(found.sourceFile.fileName),
    )
    if (entryPoint === undefined)
      throw new Error(`TypeDoc found no entry point for ${found.sourceFile.fileName}`)
    return { ...found, ...entryPoint, displayName: entryPoint.name }
  })
  const sections = new Map(doors.map((door) => [door.name, readSections(door.sourceFile)]))
  const project = app.converter.convert(doors)
  for (const module of project.children ?? []) {
    const line = entryPoints.find((entryPoint) => entryPoint.name === module.name)?.line
    if (line !== undefined) module.comment ??= new Comment([{ kind: 'text', text: line }])
    const order = sections.get(module.name)!.flatMap((section) => section.names)
    module.children?.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  }
  for (const reflection of Object.values(project.reflections)) {
    if (reflection.isDeclaration() && reflection.inheritedFrom !== undefined)
      project.removeReflection(reflection)
    if (reflection.isParameter() && reflection.name === '__namedParameters')
      reflection.name = nameByType(reflection)
  }

  validate(app, project, entryPoints)
  app.renderer.defineTheme('reference', referenceTheme({ entryPoints, sections, texts }))
  await app.generateOutputs(project)
  return [...warnings.found, ...brokenLinks(finish(folder))]
}

/** A parameter that is taken apart at once has no name: `options` for one of type `GraphileWorkerOptions`. */
function nameByType({ type }: ParameterReflection): string {
  const name = type instanceof ReferenceType ? type.name : 'Options'
  return name.replace(/^.*(?=[A-Z])/, '').toLowerCase()
}

/** TypeDoc asks only about the types of one package; there are three. */
function validate(app: Application, project: ProjectReflection, entryPoints: readonly EntryPoint[]): void {
  for (const packageName of new Set(entryPoints.map((entryPoint) => entryPoint.packageName))) {
    project.packageName = packageName
    app.options.setValue('intentionallyNotExported', [...(NOT_EXPORTED[packageName] ?? [])])
    app.options.setValue('validation', {
      notExported: true,
      invalidLink: false,
      invalidPath: false,
      rewrittenLink: false,
      notDocumented: false,
      unusedMergeModuleWith: false,
    })
    app.validate(project)
  }
  app.options.setValue('validation', { notExported: false, invalidLink: true, invalidPath: true })
  app.validate(project)
}

/** Links to nothing (see `NOT_LINKED`) become text. */
function finish(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder).map((name) => {
      const file = join(folder, name)
      const text = readFileSync(file, 'utf8').replace(/\[([^\]]+)\]\(#\)/g, '$1')
      writeFileSync(file, text)
      return [name, text]
    }),
  )
}
