import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bytesAccess, fileAccess, sliceAccess } from '../../src/io/random-access.ts'
import { tempDir } from '../helpers/temp.ts'

const BYTES = Buffer.from('0123456789')

it('reads a file anywhere, at the size it had', async () => {
  const path = join(await tempDir('access'), 'file')
  await writeFile(path, BYTES)
  const access = await fileAccess(path)
  await writeFile(path, 'abc')
  expect(access).toMatchObject({ name: path, size: 10 })
  expect(Buffer.from(await access.read(1, 2)).toString()).toBe('bc')
  await expect(access.read(2, 4)).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: `${path}: ends at 3, expected 10 bytes`,
  })
  await access.close()
  await access.close()
})

it('reads a part as if it were all there is', async () => {
  const whole = bytesAccess(BYTES, 'whole')
  const part = sliceAccess(whole, { offset: 3, size: 4 }, 'part')
  expect(part).toMatchObject({ name: 'part', size: 4 })
  expect(Buffer.from(await part.read(0, 4)).toString()).toBe('3456')
  expect(Buffer.from(await part.read(4, 0)).toString()).toBe('')
  for (const [offset, length] of [
    [-1, 1],
    [0, 5],
    [4, 1],
    [0, -1],
  ] as const) {
    await expect(part.read(offset, length)).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: `part: ${length} bytes at offset ${offset} are not inside its 4 bytes`,
    })
  }
  await part.close()
  expect(Buffer.from(await whole.read(9, 1)).toString()).toBe('9')
  expect(() => sliceAccess(whole, { offset: 8, size: 3 }, 'part')).toThrow('not inside its 10')
})
