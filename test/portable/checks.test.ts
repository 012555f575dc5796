import { describe, expect, it } from 'vitest'
import { isProven, keptRecord, type VerifyRecord } from '../../src/portable/checks.ts'

const WHOLE: VerifyRecord = {
  ...{ time: '2026-11-01T00:00:00Z', ok: true, deep: false, complete: true, problems: 0 },
}
const HASHES = { ...WHOLE, onlyHashes: true }
const PART = { ...WHOLE, complete: false }
const BAD = { ...WHOLE, ok: false, problems: 1 }
const BAD_PART = { ...PART, ok: false, problems: 1 }
const BAD_HASHES = { ...HASHES, ok: false, problems: 1 }
const DRILL = {
  ...{ time: '2026-11-02T00:00:00Z', ok: true, differences: 0, recoveryMs: 1, complete: true },
}

describe('the record of a verification', () => {
  const newer = (record: VerifyRecord) => ({ ...record, time: '2026-11-09T00:00:00Z' })

  it('is replaced by any that finds something wrong, and by one that looked at as much', () => {
    expect(keptRecord(undefined, PART)).toBe(PART)
    for (const before of [WHOLE, HASHES, PART, BAD, BAD_PART]) {
      for (const now of [WHOLE, BAD, BAD_PART].map(newer)) {
        expect(keptRecord(before, now)).toBe(now)
      }
    }
    expect(keptRecord(PART, newer(PART))).toEqual(newer(PART))
    expect(keptRecord(BAD_HASHES, newer(HASHES))).toEqual(newer(HASHES))
  })

  it('stays where less was looked at and nothing found', () => {
    for (const before of [WHOLE, HASHES, BAD, BAD_PART, BAD_HASHES]) {
      expect(keptRecord(before, newer(PART))).toBe(before)
    }
    for (const before of [WHOLE, BAD, BAD_PART]) {
      expect(keptRecord(before, newer(HASHES))).toBe(before)
    }
  })
})

describe('a proven set', () => {
  it('was read or restored as a whole, and nothing is known against it', () => {
    const proven = [{ verified: WHOLE }, { verified: HASHES }, { drilled: DRILL }]
    for (const checks of [...proven, { verified: PART, drilled: DRILL }]) {
      expect(isProven(checks)).toBe(true)
    }
    const unproven = [{}, { verified: PART }, { verified: BAD, drilled: DRILL }]
    for (const checks of [...unproven, { verified: WHOLE, drilled: { ...DRILL, ok: false } }]) {
      expect(isProven(checks)).toBe(false)
    }
  })
})
