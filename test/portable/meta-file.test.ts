import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeData } from '../../src/meta/index.ts'
import { decodeMetaFile, encodeMetaFile } from '../../src/portable/index.ts'

const STOCK = join(import.meta.dirname, '../fixtures/portable/two-sets')

describe('.meta files', () => {
  it.each(readdirSync(STOCK).filter((name) => name.endsWith('.meta')))(
    'of influxd (%s) are read and written byte for byte',
    (name) => {
      const bytes = readFileSync(join(STOCK, name))
      const { data, maxNodeId } = decodeMetaFile(bytes)
      expect(maxNodeId).toBe(0n)
      expect(Buffer.from(encodeMetaFile(data))).toEqual(bytes)
      expect(decodeData(data).databases.map((database) => database.name)).toEqual([
        'a.b',
        'a',
        'plain',
      ])
    },
  )

  it('are {1: bytes, 2: varint}', () => {
    expect(Buffer.from(encodeMetaFile(Buffer.from('abc'), 300n)).toString('hex')).toBe(
      '0a0361626310ac02',
    )
    expect(decodeMetaFile(Buffer.from('0a0361626310ac02', 'hex'))).toMatchObject({
      maxNodeId: 300n,
    })
  })

  it('are refused when cut or too long', () => {
    const bytes = encodeMetaFile(Buffer.from('abc'))
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeMetaFile(bytes.subarray(0, length))).toThrow(SnapError)
    }
    expect(() => decodeMetaFile(new Uint8Array(64 * 1024 * 1024 + 1025))).toThrow(
      /expected at most/,
    )
  })
})
