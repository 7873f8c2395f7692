import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, resolve } from 'node:path'

/**
 * Why a program cannot be started, as far as that can be known without starting it; null when nothing speaks against it.
 * It is looked for as the system will: a name with a slash from the working directory, any other on the program's PATH.
 */
export async function whyNotStartable(
  command: string,
  cwd: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  // Windows has rules of its own (PATHEXT, the registry), and without a PATH the system has its own places.
  if (process.platform === 'win32') return null
  if (command.includes('/')) {
    return (await isProgram(resolve(cwd, command))) ? null : 'it is not a file that can be executed'
  }
  const { PATH } = environment
  if (PATH === undefined) return null
  for (const folder of PATH.split(delimiter)) {
    if (await isProgram(resolve(cwd, folder, command))) return null
  }
  return 'it is not on the PATH'
}

export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
