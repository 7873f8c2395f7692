import { type EntryPoint, pageOf } from './entry-points.ts'

export function indexPage(entryPoints: readonly EntryPoint[]): string {
  return [
    '# API reference',
    'Generated from the sources by `pnpm docs:api`; not edited by hand. An overview is [options and answers](../api.md).',
    '| import | gives |\n| ------ | ----- |\n' +
      entryPoints.map(({ name, line }) => `| [\`${name}\`](${pageOf(name)}) | ${line} |\n`).join(''),
  ].join('\n\n')
}
