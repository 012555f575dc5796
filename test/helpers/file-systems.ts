import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, onTestFinished } from 'vitest'
import { tempDir } from './temp.ts'

const IS_ROOT = process.getuid?.() === 0
const OWNER = `uid=${process.getuid?.()},gid=${process.getgid?.()},mode=700`

/** True if this process may mount: as root, which containers may still forbid, or where sudo asks for no password. */
export const CAN_MOUNT = tryMount()

/** `describe` for suites that need file systems of their own; without them they are skipped, and the title says what for. */
export function describeWithMounts(title: string, body: () => void): void {
  if (CAN_MOUNT) describe(title, body)
  else describe.skip(`${title} (docker run --cap-add SYS_ADMIN, or sudo without a password)`, body)
}

function tryMount(): boolean {
  if (process.platform !== 'linux') return false
  const directory = mkdtempSync(join(tmpdir(), 'snap-mount-'))
  const mounted = mount(directory, 'size=64k')
  if (mounted) unmount(directory)
  rmdirSync(directory)
  return mounted
}

function mount(directory: string, options: string): boolean {
  return asRoot('mount', '-t', 'tmpfs', '-o', `${OWNER},${options}`, 'tmpfs', directory)
}

function unmount(directory: string): void {
  asRoot('umount', '-l', directory)
}

function asRoot(...words: readonly [string, ...string[]]): boolean {
  const [program, ...args] = IS_ROOT ? words : (['sudo', '-n', ...words] as const)
  return spawnSync(program, args).status === 0
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
  asRoot('mount', '-o', 'remount,ro', directory)
}

/** Bytes of a page, of which every file takes whole ones. */
const PAGE = 4096

/** What a file system has left: `pages` to write to, or `files` to be made. */
export type Room = { readonly pages: number } | { readonly files: number }

/** Takes all but so much of a file system made by {@link mountMemory}; the result gives it back. */
export async function leaveRoom(mounted: string, room: Room): Promise<() => Promise<void>> {
  const filler = join(mounted, 'filler')
  await mkdir(filler)
  const { bfree, bsize, ffree } = await statfs(mounted)
  if ('pages' in room) {
    const bytes = Math.max(0, bfree * bsize - room.pages * PAGE)
    await writeFile(join(filler, 'bytes'), Buffer.alloc(bytes))
  } else {
    const names = Array.from({ length: Math.max(0, ffree - room.files) }, (_, i) => `${i}`)
    await Promise.all(names.map((name) => writeFile(join(filler, name), '')))
  }
  return async () => await rm(filler, { recursive: true })
}
