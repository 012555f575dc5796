import { describe, expect, it } from 'vitest'
import { openStore } from '../../src/operations/open-store.ts'

describe('openStore', () => {
  it('opens a directory', () => {
    expect(openStore('/backup/a:b').url).toBe('/backup/a:b')
  })

  it.each([
    ['s3://bucket/prefix', 's3://bucket/prefix: s3:// is not supported'],
    ['FILE:///backup', 'FILE:///backup: file:// is not supported'],
    ['-', '-: a set is several files, it cannot go through a pipe'],
  ])('refuses %s', (location, message) => {
    const error = { code: 'E_USAGE', message, hint: 'name a directory' }
    expect(() => openStore(location)).toThrow(expect.objectContaining(error))
  })
})
