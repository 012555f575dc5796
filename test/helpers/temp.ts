import { mkdtempSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardDirectory } from './warden.ts'

let root: string | undefined

/**
 * Makes an empty directory under the system's temporary directory. It is removed when the worker that runs the test
 * file ends, however it ends, so nobody needs to remember to.
 */
export async function tempDir(prefix = 'dir'): Promise<string> {
  if (root === undefined) {
    root = mkdtempSync(join(tmpdir(), 'influx-snap-test-'))
    guardDirectory(root)
  }
  return await mkdtemp(join(root, `${prefix}-`))
}
