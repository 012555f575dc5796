/**
 * Loaded before the program (`node --import`): counts its calls that change a file system (but for modes and owners) and
 * kills the process at one of them. What it does is said by variables of the environment:
 *
 * - `CRASH_LOG` a file that gets a line of JSON for every call, before it is made
 * - `CRASH_AT` the number of the call, from 1; the process ends before it
 * - `CRASH_HALF` set, the process ends when a write has written half of its bytes
 * - `CRASH_SIGNAL` a signal to send itself instead of the end; `CRASH_TWICE` set, again before the next call
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'

const { CRASH_LOG, CRASH_AT, CRASH_HALF, CRASH_SIGNAL = 'SIGKILL', CRASH_TWICE } = process.env
const log = CRASH_LOG === undefined ? undefined : fs.openSync(CRASH_LOG, 'a')
const last = Number(CRASH_AT)

const { promises } = fs
const real = { ...promises }
const paths = new WeakMap()
let count = 0

/** Notes a call; does not return if it is the last one. `half` does half of it. */
async function at(call, path, more = {}, half = undefined) {
  count += 1
  if (log !== undefined) fs.writeSync(log, `${JSON.stringify({ call, path, ...more })}\n`)
  if (count !== last && !(CRASH_TWICE !== undefined && count === last + 1)) return
  if (CRASH_HALF !== undefined) await half?.()
  process.kill(process.pid, CRASH_SIGNAL)
}

const { O_CREAT } = fs.constants
const creates = (flags = 'r') =>
  typeof flags === 'number' ? (flags & O_CREAT) > 0 : flags[0] !== 'r'

promises.open = async (path, flags, mode) => {
  if (creates(flags)) await at('open', path)
  const handle = await real.open(path, flags, mode)
  paths.set(handle, path)
  return handle
}
promises.mkdir = async (path, options) => {
  // One that is there is left as it is.
  if (!fs.existsSync(path)) await at('mkdir', path)
  return await real.mkdir(path, options)
}
for (const call of ['unlink', 'rmdir', 'truncate']) {
  promises[call] = async (path, ...rest) => {
    await at(call, path)
    return await real[call](path, ...rest)
  }
}
for (const call of ['rename', 'link', 'symlink', 'copyFile', 'cp']) {
  promises[call] = async (from, to, ...rest) => {
    await at(call, from, { to })
    return await real[call](from, to, ...rest)
  }
}
for (const [call, flags] of Object.entries({ writeFile: 'w', appendFile: 'a' })) {
  promises[call] = async (path, body, ...rest) => {
    if (typeof path === 'object') return await path[call](body, ...rest)
    await at('open', path)
    await at('write', path, {}, async () => {
      const half = Buffer.from(body)
      await real.writeFile(path, half.subarray(0, half.length / 2), { flag: flags })
    })
    return await real[call](path, body, ...rest)
  }
}

/** As Node does it, one call after the other. */
promises.rm = async (path, { recursive = false, force = false } = {}) => {
  try {
    const isDirectory = (await real.lstat(path)).isDirectory()
    if (!isDirectory || !recursive) return await promises.unlink(path)
    for (const name of await real.readdir(path)) {
      await promises.rm(join(path, name), { recursive, force })
    }
    await promises.rmdir(path)
  } catch (error) {
    if (!force || error.code !== 'ENOENT') throw error
  }
}

const probe = await real.open(new URL(import.meta.url), 'r')
const handles = Object.getPrototypeOf(probe)
await probe.close()
for (const call of ['sync', 'datasync', 'truncate']) {
  const method = handles[call]
  handles[call] = async function (...rest) {
    await at(call === 'datasync' ? 'sync' : call, paths.get(this))
    return await method.apply(this, rest)
  }
}
const { write } = handles
handles.write = async function (
  bytes,
  offset = 0,
  length = bytes.byteLength - offset,
  position = null,
) {
  const half = () => write.call(this, bytes, offset, Math.floor(length / 2), position)
  await at('write', paths.get(this), { bytes: length }, half)
  return await write.call(this, bytes, offset, length, position)
}
for (const call of ['writeFile', 'appendFile']) {
  const method = handles[call]
  handles[call] = async function (body, ...rest) {
    const bytes = Buffer.from(body)
    const half = () => write.call(this, bytes, 0, Math.floor(bytes.length / 2))
    await at('write', paths.get(this), { bytes: bytes.length }, half)
    return await method.call(this, body, ...rest)
  }
}
// What is not counted must not be used: a matrix with holes looks like a whole one.
for (const call of ['writev', 'createWriteStream', 'utimes']) {
  handles[call] = () => {
    throw new Error(`${call} is not counted: see ${dirname(import.meta.url)}/kill-at.mjs`)
  }
}
for (const call of ['mkdtemp', 'utimes', 'lutimes', 'lchown', 'lchmod']) {
  promises[call] = () => {
    throw new Error(`${call} is not counted: see ${import.meta.url}`)
  }
}
syncBuiltinESMExports()
