import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { tempDir } from './temp.ts'

/** True if this process may mount, as root may in most containers and on most machines of a build. */
export const CAN_MOUNT = tryMount()

function tryMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const directory = mkdtempSync(join(tmpdir(), 'snap-mount-'))
  const mounted = mount(directory, 'size=64k')
  if (mounted) unmount(directory)
  rmdirSync(directory)
  return mounted
}

function mount(directory: string, options: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]).status === 0
}

function unmount(directory: string): void {
  spawnSync('umount', ['-l', directory])
}

/**
 * Makes a file system of its own in memory, gone when the test is over.
 * @param options as mount takes them: `size=64k`
 */
export async function mountMemory(options: string): Promise<string> {
  const directory = await tempDir('mount')
  if (!mount(directory, options)) throw new Error(`mount -o ${options} failed`)
  onTestFinished(() => unmount(directory))
  return directory
}

/** Takes the right to write away from a file system made by {@link mountMemory}. */
export function makeReadOnly(directory: string): void {
  spawnSync('mount', ['-o', 'remount,ro', directory])
}
