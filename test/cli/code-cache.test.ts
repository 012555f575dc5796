import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { afterEach, describe, expect, it } from 'vitest'
import { openProgram } from '../../src/cli/code-cache.ts'
import { tempDir } from '../helpers/temp.ts'

const MAIN = `
const { join } = require('node:path')
exports.name = __filename
exports.word = () => join('one', require('./part.cjs').word())
exports.same = () => require('./part.cjs') === require('./part.cjs')`
const PART = `exports.word = () => 'two'`

const { execPath } = process

afterEach(() => {
  process.execPath = execPath
})

async function makeProgram(): Promise<string> {
  const folder = await tempDir()
  writeFileSync(join(folder, 'main.cjs'), MAIN)
  writeFileSync(join(folder, 'part.cjs'), PART)
  return folder
}

/** Runs the program and returns what it says, and what of it ran with code from before. */
function run(folder: string) {
  const program = openProgram(folder)
  const main = program.load('main.cjs') as Record<'word' | 'same', () => unknown>
  return { said: main.word(), taken: [...program.taken], main, program }
}

/** A program whose code has been kept. */
async function keptProgram(): Promise<string> {
  const folder = await makeProgram()
  run(folder).program.saveCode()
  return folder
}

describe('openProgram', () => {
  it('runs files that require each other, each once', async () => {
    const folder = await makeProgram()
    const { said, main, taken } = run(folder)
    expect(said).toBe('one/two')
    expect(main.same()).toBe(true)
    expect(main).toMatchObject({ name: join(folder, 'main.cjs') })
    expect(taken).toEqual([])
  })

  it('takes the code that was kept', async () => {
    const folder = await keptProgram()
    expect(run(folder)).toMatchObject({ said: 'one/two', taken: ['main.cjs', 'part.cjs'] })
  })

  it('takes no code of which a byte is wrong or missing', async () => {
    const folder = await keptProgram()
    const path = join(folder, 'part.cjs.code')
    const code = readFileSync(path)
    for (let at = 0; at < code.length; at += 1 + (at >> 2)) {
      const damaged = Buffer.from(code)
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at)
      for (const bytes of [damaged, code.subarray(0, at)]) {
        writeFileSync(path, bytes)
        expect(run(folder)).toMatchObject({ said: 'one/two', taken: ['main.cjs'] })
      }
    }
  })

  it('takes no code of a source that has changed, of the same length too', async () => {
    const folder = await keptProgram()
    writeFileSync(join(folder, 'part.cjs'), PART.replace('two', 'six'))
    expect(run(folder)).toMatchObject({ said: 'one/six', taken: ['main.cjs'] })
  })

  it('takes no code that was made with other flags', async () => {
    const folder = await keptProgram()
    setFlagsFromString('--heap-growing-percent=90')
    try {
      expect(run(folder)).toMatchObject({ said: 'one/two', taken: [] })
    } finally {
      setFlagsFromString('--heap-growing-percent=0')
    }
  })

  it('takes no code of another Node, nor where it cannot tell', async () => {
    const folder = await keptProgram()
    const other = join(folder, 'node')
    writeFileSync(other, Buffer.from(readFileSync(execPath).subarray(0, 4096)).fill(1, 4000))
    for (const path of [other, join(folder, 'none')]) {
      process.execPath = path
      const { said, taken, program } = run(folder)
      expect([said, taken]).toEqual(['one/two', []])
      if (path !== other) program.saveCode()
    }
    process.execPath = execPath
    expect(run(folder).taken).toEqual(['main.cjs', 'part.cjs'])
  })

  it('says in which file and line something was thrown', async () => {
    const folder = await makeProgram()
    writeFileSync(join(folder, 'part.cjs'), '\n\nexports.word = () => { throw new Error("so") }')
    expect(() => run(folder)).toThrow(
      expect.objectContaining({ stack: expect.stringContaining(`${join(folder, 'part.cjs')}:3:`) }),
    )
  })
})
