import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_SIZE, openedSize, SEALED_CHUNK_SIZE, sealedSize } from '../../src/age/chunk.ts'
import {
  checkEnd,
  fileSize,
  openHead,
  plainSize,
  readFileRange,
  type SealedFile,
} from '../../src/age/file.ts'
import { SnapError } from '../../src/errors.ts'
import { rejected } from '../protocol/thrown.ts'
import { runs } from '../tsm/arbitraries.ts'
import {
  bytesOf,
  decrypted,
  encrypted,
  fixture,
  identityIn,
  inChunks,
  recipientsIn,
  someBytes,
} from './files.ts'

const EDGES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE + 7]

async function sealedFile(file: Uint8Array): Promise<SealedFile> {
  const head = await openHead(await identityIn('key.txt'), file, 'a.age')
  if (head === undefined) throw new Error('no head')
  const read = ({ start, end }: { start: number; end: number }) =>
    inChunks(file.subarray(start, end), 50_000)
  return { what: 'a.age', head, size: file.length, read }
}

describe('an encrypted file', () => {
  it.each(EDGES)('gives back %i bytes', async (length) => {
    const plain = someBytes(length)
    const file = await encrypted(await recipientsIn('recipient.txt'), plain)
    expect((await decrypted(file)).equals(plain)).toBe(true)
    const head = await openHead(await identityIn('key.txt'), file, 'a.age')
    if (head === undefined) throw new Error('no head')
    expect(fileSize(head, length)).toBe(file.length)
    expect(plainSize(head, file.length, 'a.age')).toBe(length)
  })

  it('does not depend on how its bytes come', async () => {
    const recipients = await recipientsIn('recipient.txt')
    const size = fc.integer({ min: 1, max: 200_000 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...EDGES), size, size, async (length, a, b) => {
        const plain = someBytes(length)
        const file = await encrypted(recipients, plain, a)
        expect((await decrypted(file, 'key.txt', b)).equals(plain)).toBe(true)
      }),
      runs(10),
    )
    const plain = someBytes(70)
    const file = await encrypted(recipients, plain, 1)
    expect((await decrypted(file, 'key.txt', 1)).equals(plain)).toBe(true)
  })

  it('is another one each time', async () => {
    const recipients = await recipientsIn('recipient.txt')
    const [a, b] = await Promise.all([1, 2].map(() => encrypted(recipients, someBytes(100))))
    expect(a?.subarray(-100).equals(b?.subarray(-100) ?? Buffer.alloc(0))).toBe(false)
    for (const file of [a, b]) {
      expect((await decrypted(file ?? Buffer.alloc(0))).equals(someBytes(100))).toBe(true)
    }
  })

  it('gives any range of it', async () => {
    const length = 3 * CHUNK_SIZE + 7
    const plain = someBytes(length)
    const sealed = await sealedFile(await encrypted(await recipientsIn('recipient.txt'), plain))
    await checkEnd(sealed)
    const at = fc.oneof(
      fc.integer({ min: 0, max: length }),
      fc.constantFrom(0, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, length),
    )
    await fc.assert(
      fc.asyncProperty(at, at, async (a, b) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) }
        const bytes = await bytesOf(readFileRange(sealed, range))
        expect(bytes.equals(plain.subarray(range.start, range.end))).toBe(true)
      }),
      runs(60),
    )
  })

  it('refuses a range past its end', async () => {
    const sealed = await sealedFile(fixture('small.age'))
    const error = await rejected(bytesOf(readFileRange(sealed, { start: 0, end: 24 })))
    expect(error.message).toBe('a.age: ends at 23, expected 24 bytes')
    expect(error.code).toBe('E_INTEGRITY')
  })
})

describe('a damaged file', () => {
  it('never opens, wherever a small one is cut', async () => {
    const file = fixture('small.age')
    for (let length = 0; length < file.length; length++) {
      const error = await rejected(decrypted(file.subarray(0, length)))
      expect(['E_INTEGRITY', 'E_FORMAT']).toContain(error.code)
      expect(error.exitCode).toBe(13)
    }
  })

  it('never opens with a bit flipped anywhere', async () => {
    const file = fixture('two-recipients.age')
    // One bit of each byte; all of them take five seconds.
    const step = process.env['SLOW'] === '1' ? 1 : 9
    for (let bit = 0; bit < file.length * 8; bit += step) {
      const damaged = Buffer.from(file)
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const error = await rejected(decrypted(damaged))
      // A stanza that was changed is one for somebody else.
      expect([12, 13]).toContain(error.exitCode)
    }
  }, 60_000)

  it('gives no byte of a chunk that is not what was written', async () => {
    const plain = someBytes(3 * CHUNK_SIZE)
    const file = await encrypted(await recipientsIn('recipient.txt'), plain)
    const identity = await identityIn('key.txt')
    const head = await openHead(identity, file, 'a.age')
    const start = head?.size ?? 0
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: start * 8, max: file.length * 8 - 1 }), async (bit) => {
        const damaged = Buffer.from(file)
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const chunk = Math.floor(((bit >> 3) - start) / SEALED_CHUNK_SIZE)
        const got: Uint8Array[] = []
        const error = await rejected(
          (async () => {
            const { readFile } = await import('../../src/age/file.ts')
            for await (const part of readFile(identity, inChunks(damaged), 'a.age')) {
              got.push(Buffer.from(part))
            }
          })(),
        )
        const offset = start + chunk * SEALED_CHUNK_SIZE
        const message = `a.age: the encrypted chunk at offset ${offset} is damaged or cut`
        expect(error.message).toBe(message)
        expect(Buffer.concat(got).equals(plain.subarray(0, chunk * CHUNK_SIZE))).toBe(true)
      }),
      runs(30),
    )
  })

  it('is found cut between two chunks, read whole or from the middle', async () => {
    const file = await encrypted(await recipientsIn('recipient.txt'), someBytes(3 * CHUNK_SIZE))
    const cut = file.subarray(0, -SEALED_CHUNK_SIZE)
    const whole = await rejected(decrypted(cut))
    expect(whole.message).toBe(`a.age: cut at ${cut.length} bytes, between two encrypted chunks`)
    const end = await rejected(checkEnd(await sealedFile(cut)))
    expect(end.message).toBe(whole.message)
    const range = readFileRange(await sealedFile(cut), { start: CHUNK_SIZE, end: CHUNK_SIZE + 1 })
    expect((await rejected(bytesOf(range))).code).toBe('E_INTEGRITY')
  })

  it('is found when its end is cut off an empty one', async () => {
    const sealed = await sealedFile(fixture('empty.age'))
    await checkEnd(sealed)
    const wrong = { ...sealed, read: () => inChunks(Buffer.alloc(16)) }
    expect((await rejected(checkEnd(wrong))).code).toBe('E_INTEGRITY')
    const cut = { ...sealed, size: sealed.size - 1 }
    expect((await rejected(checkEnd(cut))).message).toBe('a.age: cut at 199 bytes')
  })

  it('does not open with chunks swapped, doubled, or after the last', async () => {
    const file = await encrypted(await recipientsIn('recipient.txt'), someBytes(3 * CHUNK_SIZE))
    const { head } = await sealedFile(file)
    const chunk = (i: number) =>
      file.subarray(head.size + i * SEALED_CHUNK_SIZE, head.size + (i + 1) * SEALED_CHUNK_SIZE)
    const start = file.subarray(0, head.size)
    for (const order of [
      [1, 0, 2],
      [0, 0, 1, 2],
      [0, 1, 2, 2],
      [0, 1, 2, 0],
    ]) {
      const error = await rejected(decrypted(Buffer.concat([start, ...order.map(chunk)])))
      expect(error.code).toBe('E_INTEGRITY')
    }
  })

  it('is refused with a header that has no end, or is none', async () => {
    const endless = Buffer.from(`age-encryption.org/v1\n-> X25519 ${'A'.repeat(200_000)}\n`)
    const error = await rejected(decrypted(endless))
    expect(error.message).toBe('a.age: no end of its header in 131072 bytes')
    const none = await rejected(decrypted(Buffer.from('{"meta": {}}')))
    expect(none.message).toBe('a.age: not encrypted with age')
    const other = Buffer.from(
      fixture('small.age').toString('latin1').replace('/v1', '/v9'),
      'latin1',
    )
    expect((await rejected(decrypted(other))).code).toBe('E_FORMAT')
  })

  it('passes errors of what it reads on, and closes it', async () => {
    let closed = false
    const failing = (async function* () {
      try {
        yield fixture('65536.age').subarray(0, 30_000)
        throw new SnapError('E_SOURCE', 'the disk is gone')
      } finally {
        closed = true
      }
    })()
    const { readFile } = await import('../../src/age/file.ts')
    const error = await rejected(bytesOf(readFile(await identityIn('key.txt'), failing, 'a.age')))
    expect(error.message).toBe('the disk is gone')
    expect(closed).toBe(true)
  })
})

describe('sizes of chunks', () => {
  it('are told both ways', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (size) => {
        expect(openedSize(sealedSize(size))).toBe(size)
      }),
    )
  })

  it('are refused where no chunks have them', () => {
    const sizes = [0, 15, SEALED_CHUNK_SIZE + 1, SEALED_CHUNK_SIZE + 16, 2 * SEALED_CHUNK_SIZE + 3]
    expect(sizes.map(openedSize)).toEqual(sizes.map(() => undefined))
  })
})
