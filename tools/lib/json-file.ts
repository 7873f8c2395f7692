import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { wrongOption } from './command-options.ts'

/** Written to as they are open already: opened again, a file that they lead to would begin anew. */
const OWN_OUTPUTS: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 }

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
    writeFileSync(OWN_OUTPUTS[resolve(file)] ?? file, text)
    return
  }
  const neighbour = neighbourOf(place)
  try {
    const mode = existsSync(place) ? statSync(place).mode & 0o777 : 0o666
    writeFileSync(neighbour, text, { mode })
    renameSync(neighbour, place)
  } catch (error) {
    rmSync(neighbour, { force: true })
    throw error
  }
}

/**
 * Where the file is or will be: a link to it stays a link. Null for what is written straight into, because nothing can
 * take its place: a device, a pipe, and what the system lists under `/dev` and `/proc`, such as `/dev/stdout`.
 */
function placeOf(file: string): string | null {
  const place = targetOf(resolve(file))
  if (/^\/(dev|proc)\//.test(resolve(file)) || /^\/(dev|proc)\//.test(place)) return null
  return existsSync(place) && !statSync(place).isFile() ? null : place
}

/** Through links, also to what is not there yet. */
function targetOf(place: string): string {
  if (existsSync(place)) return realpathSync(place)
  const isLink = lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  return isLink ? targetOf(resolve(dirname(place), readlinkSync(place))) : place
}
