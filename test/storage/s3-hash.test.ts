import { createHash, createHmac } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, vi } from 'vitest'
import { RequestHash } from '../../src/storage/s3-hash.ts'

const TEXT = Buffer.from('what a request sends')

function shared(bytes: Uint8Array): Uint8Array {
  const memory = new Uint8Array(new SharedArrayBuffer(bytes.length))
  memory.set(bytes)
  return memory
}

async function hashOf(pieces: readonly Uint8Array[], key?: string | Uint8Array | ArrayBuffer) {
  const hash = new RequestHash(key)
  for (const piece of pieces) hash.update(piece)
  return Buffer.from(await hash.digest()).toString('hex')
}

function expected(pieces: readonly Uint8Array[]): string {
  return createHash('sha256').update(Buffer.concat(pieces)).digest('hex')
}

describe('the hash of a request', () => {
  it.each([
    ['nothing', []],
    ['bytes', [TEXT, TEXT]],
    ['a part', [shared(TEXT)]],
    ['parts and bytes', [shared(TEXT), TEXT, shared(TEXT)]],
    ['bytes and a part', [TEXT, shared(TEXT)]],
  ])('is that of %s', async (_, pieces) => {
    expect(await hashOf(pieces)).toBe(expected(pieces))
  })

  it.each(['key', Buffer.from('key'), Uint8Array.from(Buffer.from('key')).buffer])(
    'takes a key',
    async (key) => {
      const mac = createHmac('sha256', 'key').update(TEXT).digest('hex')
      expect(await hashOf([TEXT], key)).toBe(mac)
      expect(await hashOf([shared(TEXT)], key)).toBe(mac)
    },
  )

  it('is taken on a thread for a part, and here for all else', async () => {
    const post = vi.spyOn(Worker.prototype, 'postMessage')
    await hashOf([TEXT])
    expect(post).not.toHaveBeenCalled()
    await hashOf([shared(TEXT)])
    expect(post).toHaveBeenCalledOnce()
    post.mockRestore()
  })
})
