import { createHash, timingSafeEqual } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { cachedDataVersionTag } from 'node:v8'
import { Script } from 'node:vm'
import { setHeapFlags, unsetGrowth } from './heap.ts'

/** Stands before the code in a `.code` file: the SHA-256 of the Node it is for, of the source, and of the code. */
const HASH_SIZE = 32
/** As much of the file of Node tells which one it is: its layout to the byte, and the id of its build if it has one. */
const HEAD_SIZE = 4096

/** A program in files of CommonJS in one folder. */
export interface Program {
  /** Runs a file, if it has not run yet, and returns what it exports. */
  readonly load: (name: string) => unknown
  /** Names of the files that have run with code from before. */
  readonly taken: ReadonlySet<string>
  /** Writes beside each file that has run the code that V8 has made of it until now. */
  readonly saveCode: () => void
}

/**
 * Opens the program in `folder`. Of each file `x.cjs` the code is taken out of `x.cjs.code`, which the build has made, instead of
 * being compiled: all that ran then, down to single functions. Code of another Node, of another source, or with a damaged byte
 * is not used. V8 sees to flags itself, and refuses code that was made under others.
 */
export function openProgram(folder: string): Program {
  setHeapFlags()
  const node = identifyNode()
  const requireBuiltin = createRequire(join(folder, 'program.cjs'))
  const modules = new Map<string, { exports: unknown }>()
  const taken = new Set<string>()
  const scripts = new Map<string, { readonly source: Buffer; readonly script: Script }>()

  const load = (name: string): unknown => {
    const loaded = modules.get(name)
    if (loaded !== undefined) return loaded.exports
    const filename = join(folder, name)
    const source = readFileSync(filename)
    const cachedData = node && readCode(filename, hashOf(node, source))
    const text = `(function (exports, require, module, __filename) {${source}\n})`
    const script = new Script(text, { filename, ...(cachedData && { cachedData }) })
    scripts.set(filename, { source, script })
    if (script.cachedDataRejected === false) taken.add(name)
    const module = { exports: {} }
    modules.set(name, module)
    const require = (id: string) => (id.startsWith('./') ? load(id.slice(2)) : requireBuiltin(id))
    script.runInThisContext()(module.exports, require, module, filename)
    return module.exports
  }

  const saveCode = () => {
    if (node === undefined) return
    unsetGrowth()
    for (const [filename, { source, script }] of scripts) {
      const code = script.createCachedData()
      const hash = hashOf(node, source).update(code).digest()
      writeFileSync(codePath(filename), Buffer.concat([hash, code]))
    }
  }
  return { load, taken, saveCode }
}

function codePath(filename: string): string {
  return `${filename}.code`
}

function hashOf(node: Buffer, source: Buffer) {
  return createHash('sha256').update(node).update(source)
}

/** V8 itself takes any code whose source has as many characters, and looks for no damage. */
function readCode(filename: string, hash: ReturnType<typeof hashOf>): Buffer | undefined {
  try {
    const bytes = readFileSync(codePath(filename))
    const code = bytes.subarray(HASH_SIZE)
    const isWhole = timingSafeEqual(hash.update(code).digest(), bytes.subarray(0, HASH_SIZE))
    return isWhole ? code : undefined
  } catch {
    return undefined
  }
}

/**
 * Returns what differs between any two builds of Node, of one version too: code refers to what is built into V8 by number.
 * Undefined where V8 is not in the program itself but in a library beside it.
 */
function identifyNode(): Buffer | undefined {
  const { arch, config, execPath, platform, version } = process
  if ('node_shared' in config.variables && config.variables.node_shared === true) return undefined
  const name = `${version} ${platform} ${arch} ${cachedDataVersionTag()}\n`
  const head = Buffer.alloc(HEAD_SIZE)
  try {
    const file = openSync(execPath, 'r')
    try {
      readSync(file, head, 0, HEAD_SIZE, 0)
    } finally {
      closeSync(file)
    }
  } catch {
    return undefined
  }
  return Buffer.concat([Buffer.from(name), head])
}
