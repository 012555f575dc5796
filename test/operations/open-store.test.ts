import { describe, expect, it } from 'vitest'
import { openStore } from '../../src/operations/open-store.ts'

describe('openStore', () => {
  it('opens a directory', () => {
    expect(openStore('/backup/a:b').url).toBe('/backup/a:b')
  })

  it('opens a place in a bucket', () => {
    expect(openStore('S3://bucket/a/b/').url).toBe('s3://bucket/a/b')
    expect(openStore('s3://bucket').url).toBe('s3://bucket')
  })

  it('locks in buckets alone', () => {
    const refused = expect.objectContaining({ code: 'E_USAGE' })
    expect(() => openStore('/backup', { objectLockDays: 1 })).toThrow(refused)
  })

  it.each(['s3:/bucket/a', 'S3:bucket', 's3:'])('does not take %s for a directory', (location) => {
    const message = `${location}: neither a directory nor s3://bucket/prefix`
    expect(() => openStore(location)).toThrow(expect.objectContaining({ code: 'E_USAGE', message }))
    expect(openStore(`./${location}`).url).toContain(location)
  })

  it.each([
    ['gs://bucket/prefix', 'gs://bucket/prefix: gs:// is not supported'],
    ['FILE:///backup', 'FILE:///backup: file:// is not supported'],
    ['-', '-: a set is several files, it cannot go through a pipe'],
  ])('refuses %s', (location, message) => {
    const error = { code: 'E_USAGE', message, hint: 'name a directory or s3://bucket/prefix' }
    expect(() => openStore(location)).toThrow(expect.objectContaining(error))
  })
})
