import type { DeclarationReflection, ProjectReflection, Renderer } from 'typedoc'
import { type MarkdownPageEvent, MarkdownTheme, MarkdownThemeContext } from 'typedoc-plugin-markdown'
import type { EntryPoint } from './entry-points.ts'
import { indexPage } from './index-page.ts'
import { modulePage } from './module-page.ts'
import type { Section } from './sections.ts'
import type { SourceTexts } from './source-text.ts'

export interface Material {
  readonly entryPoints: readonly EntryPoint[]
  /** By the name of an entry point. */
  readonly sections: ReadonlyMap<string, readonly Section[]>
  readonly texts: SourceTexts
}

/** The plugin gives types, comments and links; what a page is made of is said here, to keep it short. */
export function referenceTheme(material: Material): new (renderer: Renderer) => MarkdownTheme {
  return class ReferenceTheme extends MarkdownTheme {
    override reflectionTemplate = (page: MarkdownPageEvent<DeclarationReflection>): string => {
      if ((page.model as DeclarationReflection | ProjectReflection).isProject())
        return indexPage(material.entryPoints)
      return modulePage(new MarkdownThemeContext(this, page, this.application.options), page.model, material)
    }
  }
}
