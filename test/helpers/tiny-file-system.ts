import { execFileSync } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { tempDir } from './temp.ts'

/**
 * Mounts a file system for the test that runs.
 * @param size as mount(8) takes it: `256k`
 * @returns its path; undefined where mounting is not allowed
 */
export async function tinyFileSystem(size: string): Promise<string | undefined> {
  const path = await tempDir('tiny')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  onTestFinished(() => {
    execFileSync('umount', ['-l', path])
  })
  return path
}
