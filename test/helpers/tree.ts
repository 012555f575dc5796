import { createHash } from 'node:crypto'
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** One file or folder below a directory. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'other'
  /** Of the last three octal digits: `600`. */
  readonly mode: string
  readonly size: number
  /** Hex; empty for a directory. */
  readonly sha256: string
}

/**
 * Returns everything below `directory` by its path with slashes. Equal snapshots before and after mean that nothing was
 * created, changed or removed.
 */
export async function treeOf(directory: string): Promise<Record<string, TreeEntry>> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true })
  const entries = await Promise.all(
    names.map(async (name) => {
      const path = join(name.parentPath, name.name)
      const key = relative(directory, path).split(sep).join('/')
      return [key, await entryOf(path)] as const
    }),
  )
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Returns the paths of the files (not folders) below `directory`, sorted. */
export async function filesOf(directory: string): Promise<string[]> {
  const entries = Object.entries(await treeOf(directory))
  return entries.filter(([, { type }]) => type !== 'directory').map(([path]) => path)
}

async function entryOf(path: string): Promise<TreeEntry> {
  const stats = await lstat(path)
  const mode = (stats.mode & 0o777).toString(8)
  if (!stats.isFile()) {
    return { type: stats.isDirectory() ? 'directory' : 'other', mode, size: 0, sha256: '' }
  }
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  return { type: 'file', mode, size: stats.size, sha256 }
}
