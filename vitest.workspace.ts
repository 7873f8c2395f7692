import { defineConfig } from 'vitest/config'

/** The one Vitest config: a project per package, each run from its TypeScript sources. */
const project = (name: string, root: string) => ({
  extends: true as const,
  test: { name, root, include: ['test/**/*.test.ts'] },
})

export default defineConfig({
  resolve: { conditions: ['opsledger-source'] },
  ssr: { resolve: { conditions: ['opsledger-source'], externalConditions: ['opsledger-source'] } },
  test: {
    projects: [
      project('core', 'packages/core'),
      project('dedupe', 'packages/dedupe'),
      project('seed', 'packages/seed'),
    ],
  },
})
