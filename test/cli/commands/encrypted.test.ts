import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readFile as openFile, passphraseRecipient } from '../../../src/age/index.ts'
import { backup } from '../../../src/operations/backup.ts'
import { decodeCatalog } from '../../../src/portable/catalog.ts'
import { LocalStore } from '../../../src/storage/index.ts'
import { bytesOf, fixture, fixturePath, identityIn, inChunks } from '../../age/files.ts'
import { makeDirectory, pointsIn } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { openDirectories } from '../../operations/shards.ts'
import { expectCode, finishJson, snap, worldOf } from './snap.ts'
import { backedUp, newDirectory, newTarget, restored } from './targets.ts'

const KEY = ['--identity', fixturePath('key.txt')]
const OTHER_KEY = ['--identity', fixturePath('other-key.txt')]
const RECIPIENT = fixture('recipient.txt').toString().trim()
const SOME_SIZE = 7

/** One set for one key. */
const target = await backedUp('--encrypt-to', RECIPIENT)
const names = (await readdir(target)).sort()
const set = names[0]?.slice(0, 16) ?? ''

/** A copy of the target. */
async function copied(): Promise<string> {
  const copy = await newTarget()
  await mkdir(copy)
  for (const name of names) await copyFile(join(target, name), join(copy, name))
  return copy
}

/** A copy of the target with something changed in one file. */
async function damagedAt(name: string, change: (bytes: Buffer) => Uint8Array): Promise<string> {
  const copy = await copied()
  await writeFile(join(copy, name), change(await readFile(join(copy, name))))
  return copy
}

describe('an encrypted set', () => {
  it('has no file that is not encrypted but its clear catalog', async () => {
    const clear = names.filter((name) => !name.endsWith('.age'))
    expect(clear).toEqual([`${set}.snap.json`])
    for (const name of names.filter((each) => !clear.includes(each))) {
      const bytes = await readFile(join(target, name))
      expect(bytes.toString('latin1')).toMatch(/^age-encryption\.org\/v1\n-> X25519 /)
    }
  })

  it('tells little in its clear catalog', async () => {
    const text = await readFile(join(target, `${set}.snap.json`), 'utf8')
    const catalog = decodeCatalog(Buffer.from(text))
    expect(catalog.encryption?.recipients).toHaveLength(1)
    expect(catalog.files.map(({ name }) => name)).toEqual(
      names.filter((name) => name.endsWith('.age')),
    )
    expect(catalog.server).toEqual({ clusterId: expect.any(BigInt) })
    expect(text).not.toContain('cpu')
    expect(text).not.toContain(RECIPIENT)
  })

  it('is restored with its key, point for point', async () => {
    expect(await restored(target, ...KEY)).toEqual(pointsIn())
  })

  it('is restored with the key that a variable names', async () => {
    const fresh = await newDirectory()
    const words = ['restore', '--json', ...fresh.flags, target]
    const world = await worldOf(words, { INFLUX_SNAP_IDENTITY: fixturePath('key.txt') })
    expect((await finishJson(world)).code).toBe(0)
  })

  it.each([
    ['restore', async () => [...(await newDirectory()).flags]],
    ['drill', async () => ['--influxd', 'none']],
    ['export', async () => ['--format', 'lp', '--from']],
  ])('is not opened by snap %s with no key or a wrong one', async (command, words) => {
    const more = command === 'export' ? [join(await tempDir('out'), 'points.lp')] : []
    for (const [keys, why] of [
      [[], 'no key was given'],
      [OTHER_KEY, 'none of the given keys opens it'],
    ] as const) {
      const { error } = await expectCode(12, command, ...keys, ...(await words()), target, ...more)
      expect(error?.code).toBe('E_KEY')
      expect(error?.message).toBe(`${target}: ${set}.manifest.age is encrypted: ${why}`)
      expect(error?.hint).toContain('it wants one key of type "X25519"')
    }
  })

  it('is listed without its key', async () => {
    const { document } = await expectCode(0, 'list', target)
    expect(document.sets).toEqual([
      expect.objectContaining({ set, kind: 'snap', encrypted: true, shards: 4 }),
    ])
    expect((await snap('list', target)).stdout).toContain('not checked, encrypted')
  })

  it('is exported and drilled with its key', async () => {
    const path = join(await tempDir('out'), 'points.lp')
    // One field is of a kind that line protocol has not.
    await expectCode(3, 'export', '--format', 'lp', '--from', target, ...KEY, path)
    expect((await readFile(path, 'utf8')).split('\n').length - 1).toBeGreaterThan(SOME_SIZE)
    const { document } = await expectCode(0, 'drill', '--influxd', 'none', ...KEY, target)
    expect(document.points).toBe(pointsIn().length)
  })

  it('is exported into another one, for others', async () => {
    const copy = await newTarget()
    const words = ['--from', target, '--encrypt-to', fixturePath('recipients.txt')]
    await expectCode(0, 'export', ...words, ...KEY, copy)
    for (const keys of [KEY, OTHER_KEY]) expect(await restored(copy, ...keys)).toEqual(pointsIn())
  })

  it('is a whole plain set once its files are decrypted', async () => {
    const plain = await newTarget()
    await mkdir(plain)
    const identity = await identityIn('key.txt')
    for (const name of names.filter((each) => each.endsWith('.age'))) {
      const file = inChunks(await readFile(join(target, name)))
      await writeFile(
        join(plain, name.slice(0, -'.age'.length)),
        await bytesOf(openFile(identity, file, name)),
      )
    }
    const { document } = await expectCode(0, 'verify', '--deep', plain)
    expect(document).toMatchObject({ complete: true, problems: [] })
    expect(await restored(plain)).toEqual(pointsIn())
  })

  it('is copied as it is without a key, and in the clear with it', async () => {
    const [sealed, plain] = [await newTarget(), await newTarget()]
    await expectCode(0, 'copy', target, sealed)
    expect((await readdir(sealed)).sort()).toEqual(names)
    await expectCode(12, 'copy', '--decrypt', target, plain)
    await expectCode(0, 'copy', '--decrypt', ...KEY, sealed, plain)
    expect((await readdir(plain)).some((name) => name.endsWith('.age'))).toBe(false)
    await expectCode(0, 'verify', '--deep', plain)
    expect(await restored(plain)).toEqual(pointsIn())
  })

  it('is made of a plain one while that is copied, and for others of an encrypted one', async () => {
    const [plain, sealed, theirs] = [await newTarget(), await newTarget(), await newTarget()]
    await expectCode(0, 'copy', '--decrypt', ...KEY, target, plain)
    await expectCode(0, 'copy', '--encrypt-to', RECIPIENT, plain, sealed)
    expect((await readdir(sealed)).sort()).toEqual(names)
    await expectCode(0, 'verify', sealed)
    expect(await restored(sealed, ...KEY)).toEqual(pointsIn())
    const others = ['--encrypt-to', fixturePath('recipients.txt')]
    const { error } = await expectCode(12, 'copy', ...others, sealed, theirs)
    expect(error?.message).toContain('no key was given')
    await expectCode(0, 'copy', ...others, ...KEY, sealed, theirs)
    await expectCode(0, 'verify', '--deep', ...OTHER_KEY, theirs)
    expect(await restored(theirs, ...OTHER_KEY)).toEqual(pointsIn())
    await expectCode(17, 'copy', '--encrypt-to', RECIPIENT, plain, theirs)
  })

  it('stands beside plain sets and those for others', async () => {
    const copy = await copied()
    const { flags } = await makeDirectory()
    await expectCode(0, 'backup', ...flags, copy)
    await expectCode(0, 'backup', ...flags, '--encrypt-to', fixturePath('recipients.txt'), copy)
    const { document } = await expectCode(0, 'list', copy)
    expect(document.sets.map((each: { encrypted?: boolean }) => each.encrypted ?? false)).toEqual([
      true,
      false,
      true,
    ])
    const verified = await expectCode(0, 'verify', ...OTHER_KEY, copy)
    expect(verified.document.sets.map((each: object) => 'onlyHashes' in each)).toEqual([
      false,
      false,
      true,
    ])
    const plain = document.sets[1].set
    expect(await restored(copy, '--set', plain)).toEqual(pointsIn())
    await expectCode(12, 'verify', '--deep', ...OTHER_KEY, copy)
    await expectCode(0, 'verify', '--deep', ...KEY, copy)
  })
})

describe('snap verify of an encrypted set', () => {
  it('compares hashes alone without its key, and says so', async () => {
    const { document } = await expectCode(0, 'verify', target)
    expect(document).toMatchObject({ complete: true, files: 0, problems: [] })
    expect(document.sets).toEqual([expect.objectContaining({ set, onlyHashes: true, archives: 4 })])
    const { stdout } = await snap('verify', '--set', set, target)
    expect(stdout).toContain('only the hashes of what is stored were compared')
  })

  it('reads all of it with its key', async () => {
    const { document } = await expectCode(0, 'verify', '--deep', ...KEY, target)
    expect(document).toMatchObject({ complete: true, problems: [] })
    expect(document.points).toBe(pointsIn().length)
    expect(document.sets[0]).not.toHaveProperty('onlyHashes')
    await expectCode(0, 'verify', '--set', 'latest', ...KEY, target)
  })

  it('ends with 12 if it was to be deep, or with a wrong key', async () => {
    await expectCode(12, 'verify', '--deep', target)
    const { error } = await expectCode(12, 'verify', ...OTHER_KEY, target)
    expect(error?.message).toContain('none of the given keys opens it')
    await expectCode(12, 'verify', '--set', set, ...OTHER_KEY, target)
  })

  it.each(names.map((name) => [name.slice(17), name]))(
    'finds damage in %s, with a key and without',
    async (_, name) => {
      const flip = (bytes: Buffer) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
        return bytes
      }
      for (const change of [flip, (bytes: Buffer) => bytes.subarray(0, -1)]) {
        const copy = await damagedAt(name, change)
        for (const keys of [[], KEY]) {
          const { document } = await expectCode(13, 'verify', ...keys, copy)
          expect(document.problems[0].file.startsWith(name.slice(0, 17))).toBe(true)
        }
      }
    },
  )

  it('finds files that are missing', async () => {
    for (const name of names) {
      const copy = await newTarget()
      await mkdir(copy)
      for (const other of names.filter((each) => each !== name)) {
        await copyFile(join(target, other), join(copy, other))
      }
      for (const keys of [[], KEY]) await expectCode(13, 'verify', ...keys, copy)
    }
  })
})

describe('damage in an encrypted set', () => {
  const archive = names.find((name) => name.endsWith('.tar.gz.age')) ?? ''

  it('ends a restore with 13 and is named with its offset', async () => {
    const copy = await damagedAt(archive, (bytes) => {
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
      return bytes
    })
    const fresh = await newDirectory()
    const { error } = await expectCode(13, 'restore', ...fresh.flags, ...KEY, copy)
    expect(error?.message).toMatch(
      new RegExp(`${archive}: the encrypted chunk at offset \\d+ is damaged or cut$`),
    )
  })

  it('is told from a wrong key where it is in the header', async () => {
    const copy = await damagedAt(archive, (bytes) => {
      bytes[70] = bytes[70] === 0x41 ? 0x42 : 0x41
      return bytes
    })
    const fresh = await newDirectory()
    const { error } = await expectCode(13, 'restore', ...fresh.flags, ...KEY, copy)
    expect(error?.message).toContain(`${archive}: `)
    expect(error?.message).toContain('damaged')
  })
})

describe('a passphrase', () => {
  const PASSPHRASE = 'correct horse battery staple'
  const keyFile = async () => {
    const path = join(await tempDir('keys'), 'passphrase')
    await writeFile(path, `${PASSPHRASE}\n`, { mode: 0o600 })
    return ['--passphrase-file', path]
  }

  it('opens a set that was made with it', async () => {
    const copy = await newTarget()
    const store = new LocalStore(copy)
    const recipients = await passphraseRecipient(PASSPHRASE, 10)
    const { root } = await makeDirectory()
    const dirs = { data: join(root, 'data'), wal: join(root, 'wal'), meta: join(root, 'meta') }
    const { source, close } = await openDirectories(dirs)
    await backup({
      ...{ source, store, recipients, selection: {}, jobs: 1, attempts: 1, skipErrors: false },
      ...{ dryRun: false, compression: 'gzip', tempDir: await tempDir('spool'), version: '0.0.0' },
      signal: new AbortController().signal,
    })
    await close()
    const { error } = await expectCode(12, 'restore', ...(await newDirectory()).flags, copy)
    expect(error?.hint).toBe('it wants a passphrase: --passphrase-file or INFLUX_SNAP_PASSPHRASE')
    expect(await restored(copy, ...(await keyFile()))).toEqual(pointsIn())
    const wrong = await worldOf(['verify', '--json', copy], { INFLUX_SNAP_PASSPHRASE: 'other' })
    expect((await finishJson(wrong)).code).toBe(12)
    const right = await worldOf(['verify', '--json', copy], { INFLUX_SNAP_PASSPHRASE: PASSPHRASE })
    expect((await finishJson(right)).code).toBe(0)
  })

  it('encrypts a set, every file with the same header', async () => {
    const words = await keyFile()
    const copy = await backedUp(...words)
    const sealed = (await readdir(copy)).filter((name) => name.endsWith('.age'))
    const files = await Promise.all(sealed.map((name) => readFile(join(copy, name), 'latin1')))
    expect(new Set(files.map((text) => text.split('\n--- ')[0])).size).toBe(1)
    expect(await restored(copy, ...words)).toEqual(pointsIn())
  })
})

describe('the options for keys', () => {
  it.each([
    [['--encrypt-to', 'age1nobody'], 'age1nobody: no recipient of age'],
    [['--encrypt-to', '/not/there'], '--encrypt-to /not/there: ENOENT'],
    [['--encrypt-to', fixturePath('key.txt')], 'a secret key, expected a recipient'],
    [['--encrypt-to', RECIPIENT, '--passphrase-file', 'x'], 'cannot be used with'],
    [['--passphrase-file', '/dev/null'], 'its first line is empty'],
    [['--encrypt-to', '/dev/null'], 'no recipient in it'],
    [['--encrypt-to', '/dev/zero'], 'more than 1048576 bytes'],
  ])('of a backup are checked: %j', async (words, message) => {
    const { flags } = await makeDirectory()
    const { error } = await expectCode(2, 'backup', ...flags, ...words, await newTarget())
    expect(error?.message).toContain(message)
  })

  it('do not repeat a secret', async () => {
    const secret = fixture('key.txt').toString().split('\n')[2] ?? ''
    const { flags } = await makeDirectory()
    const { error } = await expectCode(2, 'backup', ...flags, '--encrypt-to', secret, 'x')
    expect(JSON.stringify(error)).not.toContain(secret)
  })

  it('are checked before a set is read', async () => {
    const { error } = await expectCode(2, 'verify', '--identity', '/dev/null', target)
    expect(error?.message).toBe('--identity /dev/null: no key in it')
    const lp = ['--format', 'lp', '--encrypt-to', RECIPIENT]
    await expectCode(2, 'export', ...lp, '--from', target, ...KEY, 'out')
  })

  it('warn of keys that everybody can read', async () => {
    const file = join(await tempDir('keys'), 'key.txt')
    await writeFile(file, fixture('key.txt'), { mode: 0o644 })
    expect((await snap('verify', '--identity', file, target)).stderr).toContain('chmod 600')
    const own = join(await tempDir('keys'), 'key.txt')
    await writeFile(own, fixture('key.txt'), { mode: 0o600 })
    expect((await snap('verify', '--identity', own, target)).stderr).not.toContain('chmod')
  })
})
