import {
  accessSync,
  constants,
  existsSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { wrongOption } from './command-options.ts'

/** Beside the file, because only there renaming is one step; of this process, so that two do not meet. */
const neighbourOf = (place: string) => `${place}.${process.pid}.part`

/**
 * Looks, before any work, whether a file can be written at the end of it, and leaves what is in it.
 * @throws CommandOptionError that names `--json`
 */
export function assertWritable(file: string): void {
  try {
    if (existsSync(file)) accessSync(file, constants.W_OK)
    const place = placeOf(file)
    if (place !== null) {
      writeFileSync(neighbourOf(place), '')
      rmSync(neighbourOf(place))
    } else if (statSync(file).isDirectory()) {
      throw new Error('it is a folder')
    }
  } catch (error) {
    throw wrongOption(
      '--json',
      file,
      `a file that can be written; this one cannot: ${(error as Error).message}`,
    )
  }
}

/** All of it at once: a reader finds what was there before or the whole of this, also when this process is killed. */
export function writeJson(file: string, content: unknown): void {
  const text = `${JSON.stringify(content, null, 2)}\n`
  const place = placeOf(file)
  if (place === null) {
    writeFileSync(file, text)
    return
  }
  const neighbour = neighbourOf(place)
  try {
    writeFileSync(neighbour, text)
    renameSync(neighbour, place)
  } catch (error) {
    rmSync(neighbour, { force: true })
    throw error
  }
}

/** Where the file is or will be: a link to it stays a link. Null for what is no file, as `/dev/stdout`: nothing replaces it. */
function placeOf(file: string): string | null {
  if (!existsSync(file)) return file
  return statSync(file).isFile() ? realpathSync(file) : null
}
