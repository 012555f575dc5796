import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bytesAccess, fileAccess, placeAccess, sliceAccess } from '../../src/io/random-access.ts'
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

it('is read by another thread where it is: in memory that is shared, or in a file', async () => {
  const memory = new SharedArrayBuffer(20)
  const shared = new Uint8Array(memory, 0, 10)
  shared.set(BYTES)
  const path = join(await tempDir('access'), 'file')
  await writeFile(path, BYTES)
  const file = await fileAccess(path)
  for (const { place } of [bytesAccess(shared, ''), file]) {
    if (place === undefined) throw new Error('no place')
    const access = placeAccess(place, 'there', 10)
    expect(access).toMatchObject({ name: 'there', size: 10 })
    expect(Buffer.from(await access.read(2, 8)).toString()).toBe('23456789')
    await expect(access.read(2, 9)).rejects.toMatchObject({
      message: 'there: 9 bytes at offset 2 are not inside its 10 bytes',
    })
    await access.close()
  }
  expect(Buffer.from(await file.read(0, 1)).toString()).toBe('0')
  await writeFile(path, 'abc')
  const cut = placeAccess(file.place ?? { memory }, 'cut', 10)
  await expect(cut.read(0, 4)).rejects.toMatchObject({
    message: 'cut: ends at 3, expected 10 bytes',
  })
  await file.close()
  expect(bytesAccess(BYTES, '').place).toBeUndefined()
  expect(bytesAccess(new Uint8Array(memory, 1), '').place).toBeUndefined()
})
