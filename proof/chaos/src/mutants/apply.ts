import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { editsOf } from './mutants.ts'

/** Loads the library of this process with one rule broken. Must run before the library is imported. */
export function applyMutant(name: string): void {
  const all = editsOf(name)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const edits = all.filter(
        ({ file }) => url.startsWith('file:') && fileURLToPath(url).endsWith(`/packages/${file}`),
      )
      if (edits.length === 0) return loaded
      let text = loaded.source!.toString()
      for (const { file, find, replace } of edits) {
        // A mutant of code that has changed since would be the library itself, and never be caught.
        if (text.split(find).length !== 2)
          throw new Error(`Mutant ${name}: ${file} holds this not once: ${find}`)
        text = text.replace(find, () => replace)
      }
      return { ...loaded, source: text }
    },
  })
}
