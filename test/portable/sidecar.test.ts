import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeSidecar, encodeSidecar } from '../../src/portable/index.ts'
import { entry, sidecar } from './samples.ts'

const SET = '20240102T030405Z'
const SIDECAR = sidecar(SET, entry(SET, 0xffff_ffff_ffff_ffffn))

function changed(change: (document: Record<string, unknown>) => void): Uint8Array {
  const document = JSON.parse(Buffer.from(encodeSidecar(SIDECAR)).toString())
  change(document)
  return Buffer.from(JSON.stringify(document))
}

const failure = (message: RegExp) =>
  expect.objectContaining({ code: 'E_FORMAT', message: expect.stringMatching(message) })

describe('sidecars', () => {
  it('come back with every field', () => {
    expect(decodeSidecar(encodeSidecar(SIDECAR))).toMatchObject(SIDECAR)
    const bare = { ...SIDECAR, files: [], seekPoints: [] }
    expect(decodeSidecar(encodeSidecar(bare))).toMatchObject(bare)
  })

  it('say what points there are', () => {
    const totals = { series: 1, keys: 2, points: 3, fingerprint: '0123456789abcdef'.repeat(2) }
    const times = { minTime: -5n, maxTime: 7n }
    const data = {
      ...{ exact: false, reason: 'why', ...totals, ...times },
      measurements: [
        { measurement: 'cpu', ...totals, ...times },
        { measurement: 'x\ufffd', measurementHex: '78ff', ...totals },
      ],
      otherMeasurements: totals,
    }
    expect(decodeSidecar(encodeSidecar({ ...SIDECAR, data })).data).toEqual(data)
    const spoiled = encodeSidecar({ ...SIDECAR, data: { ...data, fingerprint: 'ABC' } })
    expect(() => decodeSidecar(spoiled)).toThrow(
      failure(/data.fingerprint: expected a fingerprint in hex/),
    )
  })

  it('are one line of JSON with seek points as pairs and 64-bit numbers as text', () => {
    const text = Buffer.from(encodeSidecar(SIDECAR)).toString()
    expect(text.indexOf('\n')).toBe(text.length - 1)
    expect(text).toContain('"seekPoints":[[0,38],[1048576,700000]]')
    expect(text).toContain('"schema":"snap/sidecar/1","shardId":"18446744073709551615"')
    expect(text).toContain('"minTime":"-5"')
  })

  it('pass over keys of later versions', () => {
    expect(decodeSidecar(changed((document) => (document['later'] = 1)))).toMatchObject(SIDECAR)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['what is no JSON', Buffer.from('{'), /^sidecar: /],
    ['another schema', changed((document) => (document['schema'] = 'x')), /schema/],
    [
      'seek points out of order',
      changed(
        (document) =>
          (document['seekPoints'] = [
            [0, 1],
            [0, 2],
          ]),
      ),
      /seekPoints: expected ascending/,
    ],
    [
      'seek points that go back in the archive',
      changed(
        (document) =>
          (document['seekPoints'] = [
            [0, 1],
            [1, 1],
          ]),
      ),
      /seekPoints: expected ascending/,
    ],
    [
      'a bad time',
      changed(
        (document) =>
          (document['files'] = [{ name: 'x', size: 1, minTime: '9223372036854775808' }]),
      ),
      /minTime/,
    ],
  ])('refuse %s', (_what, bytes, message) => {
    expect(() => decodeSidecar(bytes)).toThrow(failure(message))
  })

  it('end in an error or a sidecar for every truncation and flipped bit', () => {
    const bytes = encodeSidecar(SIDECAR)
    for (let length = 0; length < bytes.length - 1; length += 1) {
      expect(() => decodeSidecar(bytes.subarray(0, length))).toThrow(SnapError)
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        decodeSidecar(flipped)
      } catch (error) {
        expect(error).toBeInstanceOf(SnapError)
      }
    }
  })
})
