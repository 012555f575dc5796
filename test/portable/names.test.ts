import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  archiveName,
  archiveTarName,
  catalogName,
  formatSetName,
  manifestName,
  metaName,
  nextFreeSetName,
  parseFileName,
  parseSetName,
  sidecarName,
} from '../../src/portable/index.ts'
import { sealedName, sidecarBeside } from '../../src/portable/names.ts'

const SET = '20240102T030405Z'

describe('set names', () => {
  it('are the UTC second', () => {
    expect(formatSetName(new Date('2024-01-02T03:04:05.999Z'))).toBe(SET)
    expect(parseSetName(SET)).toEqual(new Date('2024-01-02T03:04:05Z'))
  })

  it('come back from their text', () => {
    const time = fc.date({
      min: new Date('1970-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(time, (date) => {
        expect(parseSetName(formatSetName(date))?.getTime()).toBe(
          Math.floor(date.getTime() / 1000) * 1000,
        )
      }),
    )
  })

  it.each([
    ['', '20240102T030405', '20240102t030405Z', '20240230T000000Z', '20240101T240000Z'],
    ['20241301T000000Z', '20240101T006000Z', ' 20240102T030405Z', '20240102T030405Z\n', 'latest'],
  ])('are nothing else: %j %j %j %j %j', (...texts) => {
    for (const text of texts) expect(parseSetName(text)).toBeUndefined()
  })
})

describe('nextFreeSetName', () => {
  const at = (...names: readonly string[]) =>
    nextFreeSetName(new Date('2024-01-02T03:04:05Z'), names)

  it('is the time itself when no file has it', () => {
    expect(at()).toBe(SET)
    expect(at('20240102T030404Z.meta', 'other')).toBe(SET)
  })

  it('is the next second that no file of any kind has, unfinished ones too', () => {
    expect(at(`${SET}.s1.tar.gz`)).toBe('20240102T030406Z')
    expect(at(`${SET}.meta.pending`, '20240102T030406Z.x', '20240102T030408Z.meta')).toBe(
      '20240102T030407Z',
    )
    expect(nextFreeSetName(new Date('2023-12-31T23:59:59Z'), ['20231231T235959Z.meta'])).toBe(
      '20240101T000000Z',
    )
  })
})

describe('parseFileName', () => {
  it('knows every file of a set', () => {
    const shardId = 0xffff_ffff_ffff_ffffn
    expect(manifestName(SET)).toBe('20240102T030405Z.manifest')
    expect(parseFileName(manifestName(SET))).toEqual({ set: SET, kind: 'manifest' })
    expect(parseFileName(metaName(SET))).toEqual({ set: SET, kind: 'meta' })
    expect(parseFileName(catalogName(SET))).toEqual({ set: SET, kind: 'catalog' })
    expect(archiveName(SET, 10n)).toBe('20240102T030405Z.s10.tar.gz')
    expect(parseFileName(archiveName(SET, 10n))).toEqual({
      set: SET,
      kind: 'archive',
      shardId: 10n,
    })
    expect(parseFileName(sidecarName(SET, shardId))).toEqual({ set: SET, kind: 'sidecar', shardId })
    expect(archiveTarName(SET, 10n)).toBe('20240102T030405Z.s10.tar')
  })

  it('finds the sidecar beside an archive', () => {
    const [archive, sidecar] = [archiveName(SET, 10n), sidecarName(SET, 10n)]
    expect(sidecarBeside(archive)).toBe(sidecar)
    expect(sidecarBeside(sealedName(archive))).toBe(sealedName(sidecar))
    expect(sidecarBeside(sidecar)).toBeUndefined()
    expect(sidecarBeside(`${archive}.pending`)).toBeUndefined()
  })

  it.each([
    `${SET}`,
    `${SET}.`,
    `${SET}-manifest`,
    `${SET}.manifest.pending`,
    `${SET}.s01.tar.gz`,
    `${SET}.s18446744073709551616.json`,
    `${SET}.s1.tar`,
    `${SET}.sx.json`,
    '20240231T030405Z.manifest',
    'backup.manifest',
    'meta.00',
    'db.autogen.00001.00',
  ])('knows no file named %s', (name) => {
    expect(parseFileName(name)).toBeUndefined()
  })
})
