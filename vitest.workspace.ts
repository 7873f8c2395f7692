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
    // One Postgres for the whole run; each test file takes a database of its own from it.
    globalSetup: ['packages/testing/src/vitest/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      project('core', 'packages/core'),
      project('dedupe', 'packages/dedupe'),
      project('seed', 'packages/seed'),
      project('testing', 'packages/testing'),
      project('snippets', 'examples/snippets'),
      project('assignment-worker', 'examples/assignment-worker'),
      project('queues', 'examples/queues'),
      project('model', 'proof/model'),
      project('chaos', 'proof/chaos'),
      project('bench', 'proof/bench'),
    ],
  },
})
