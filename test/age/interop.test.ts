import { readFile as readDisk, writeFile as writeDisk } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { describeWithAge } from '../helpers/age-binary.ts'
import { run } from '../helpers/run.ts'
import { tempDir } from '../helpers/temp.ts'
import { decrypted, encrypted, fixturePath, recipientsIn, someBytes } from './files.ts'

const SIZES = [0, 1, 65_536, 65_537, 131_072, 1_000_000]

describeWithAge('the age tool', (age) => {
  it('reads what we write', async () => {
    const dir = await tempDir('age')
    for (const size of SIZES) {
      const path = join(dir, `${size}.age`)
      await writeDisk(path, await encrypted(await recipientsIn('recipients.txt'), someBytes(size)))
      const out = join(dir, `${size}`)
      const { code } = await run(age, ['-d', '-i', fixturePath('other-key.txt'), '-o', out, path])
      expect(code).toBe(0)
      // It makes no file of nothing.
      if (size === 0) continue
      expect((await readDisk(out)).equals(someBytes(size))).toBe(true)
    }
  })

  it('writes what we read', async () => {
    const dir = await tempDir('age')
    for (const size of SIZES) {
      const [plain, path] = [join(dir, `${size}`), join(dir, `${size}.age`)]
      await writeDisk(plain, someBytes(size))
      await run(age, ['-R', fixturePath('recipients.txt'), '-o', path, plain])
      expect((await decrypted(await readDisk(path))).equals(someBytes(size))).toBe(true)
    }
  })
})
