import type { Packed } from './packages.ts'

/** What runs on the machine of whoever installs a package, or before it is packed: none of it is ours. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare']

const ALLOWED_FILES = /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/[\w/-]+(\.d\.ts|\.js))$/
const REQUIRED_FILES = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']

/** Why a tarball must not be published, in sentences. */
export function packedProblems({ manifest, files }: Packed): string[] {
  const { license, engines, scripts = {} } = manifest
  const problems: string[] = []
  for (const script of INSTALL_SCRIPTS) {
    if (script in scripts) problems.push(`has an install script: ${script}`)
  }
  for (const file of files) {
    if (!ALLOWED_FILES.test(file)) problems.push(`holds ${file}, which is not on the allow-list`)
  }
  for (const file of REQUIRED_FILES) {
    if (!files.includes(file)) problems.push(`lacks ${file}`)
  }
  if (JSON.stringify(manifest).includes('opsledger-source'))
    problems.push('names the condition opsledger-source')
  if (JSON.stringify(manifest).includes('workspace:')) problems.push('names a version as workspace:')
  if (license !== 'MIT') problems.push(`has the license ${license}, and MIT is what LICENSE says`)
  if (engines?.node === undefined) problems.push('does not say which Node it needs (engines.node)')
  return problems
}
