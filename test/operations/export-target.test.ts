import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { ExportTarget } from '../../src/operations/export-target.ts'

it('gives a stream compressed bytes that it may keep', async () => {
  const body = Array.from({ length: 8 }, () => randomBytes(1024 * 1024))
  const kept: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      kept.push(chunk)
      done()
    },
  })
  async function* chunks() {
    yield* body
  }
  const target = new ExportTarget({ kind: 'stream', stream }, { gzip: true })
  const { size } = await target.write('', chunks(), new AbortController().signal)
  const gz = Buffer.concat(kept)
  expect(gz.length).toBe(size)
  expect(gunzipSync(gz).equals(Buffer.concat(body))).toBe(true)
})
